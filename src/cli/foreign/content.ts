/** Reads files of a service to their end, over cut connections, with the memory of a chunk and a line. */
import { open } from 'node:fs/promises'
import { type Client, isPassing } from '../../client/client.ts'
import { readLines } from '../../jsonl/tools/lines.ts'
import { type ParsedLine, parseLine } from '../../jsonl/tools/parse-line.ts'
import { messageOf } from '../../lib/errors.ts'
import type { CommandContext } from '../command.ts'
import { oneLine } from '../format.ts'
import { resumed } from '../results-content.ts'

/** A service, and the signal of the command that uses it. */
export type Asked = { client: Client; context: Pick<CommandContext, 'signal'> }

export type Service = Asked & { context: Pick<CommandContext, 'output'> }

/** @param query order: only our server has any; fromByte: of the bytes in that order, for what is here already */
export function contentOf(
  { client, context }: Service,
  fileId: string,
  { fromByte, ...query }: { order?: 'input'; fromByte?: number } = {},
): AsyncGenerator<Uint8Array> {
  const { signal, output } = context
  return resumed({
    open: (start) =>
      client.files.content(fileId, { ...query, signal, ...(start > 0 && { range: { start } }) }),
    ...(fromByte !== undefined && { fromByte }),
    isPassing,
    signal,
    onTrouble: (thrown) => output.say(`${oneLine(messageOf(thrown))}; going on from where it was cut`),
  })
}

/** @returns the lines with their numbers; null where a line is no object that can be read */
export async function* objectsOf(
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ lineNumber: number; parsed: ParsedLine | null }> {
  for await (const lines of readLines(content)) {
    for (const line of lines) {
      yield { lineNumber: line.lineNumber, parsed: parseLine(line, () => undefined) }
    }
  }
}

/** Passes the bytes on once they are in a new file that only this user can read. */
export async function* copied(content: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of content) {
      await file.writeFile(chunk)
      yield chunk
    }
  } finally {
    await file.close()
  }
}

/** Puts a file of the service into a new local one. */
export async function download(
  service: Service,
  { fileId, path }: { fileId: string; path: string },
): Promise<void> {
  for await (const _ of copied(contentOf(service, fileId), path)) {
    // Written by then.
  }
}
