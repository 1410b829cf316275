/** Makers of request files for tests. */

import { once } from 'node:events'
import { createWriteStream, writeFileSync } from 'node:fs'

export type RequestLine = {
  custom_id: string
  method: string
  url: string
  body: Record<string, unknown>
}

export function chatLine(number: number, options: { model?: string; content?: string } = {}): RequestLine {
  return {
    custom_id: `request-${number}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: {
      model: options.model ?? 'sim/echo',
      messages: [{ role: 'user', content: options.content ?? `Question ${number}: what is ${number} + 1?` }],
    },
  }
}

export function jsonl(lines: readonly unknown[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('')
}

/** Writes `count` chat lines in one go; for small files. */
export function writeChatFile(
  path: string,
  count: number,
  options: { model?: string; content?: (number: number) => string } = {},
): void {
  const lines = Array.from({ length: count }, (_, number) =>
    chatLine(number, {
      ...(options.model === undefined ? {} : { model: options.model }),
      ...(options.content === undefined ? {} : { content: options.content(number) }),
    }),
  )
  writeFileSync(path, jsonl(lines))
}

/** Streams lines of about `lineBytes` bytes each, unlike one another only in their number. */
export async function writeLargeFile(
  path: string,
  options: { count: number; lineBytes: number; model: string },
): Promise<void> {
  const bare = JSON.stringify(chatLine(10_000_000, { model: options.model, content: '10000000 ' })).length + 1
  const padding = 'x'.repeat(Math.max(0, options.lineBytes - bare))
  const stream = createWriteStream(path)
  for (let number = 0; number < options.count; number += 1) {
    const line = JSON.stringify(chatLine(number, { model: options.model, content: `${number} ${padding}` }))
    if (!stream.write(`${line}\n`)) await once(stream, 'drain')
  }
  stream.end()
  await once(stream, 'close')
}

export type ResultLine = {
  id: string
  custom_id: string
  response: { status_code: number; request_id: string; body: Record<string, unknown> } | null
  error: { code: string; message: string } | null
}

/** Parses the lines of a result file. */
export function parseLines<T = ResultLine>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}

/** How often each custom_id occurs, as a map. */
export function countIds(lines: readonly { custom_id: string }[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of lines) counts.set(line.custom_id, (counts.get(line.custom_id) ?? 0) + 1)
  return counts
}
