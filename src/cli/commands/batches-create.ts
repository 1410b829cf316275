import { randomUUID } from 'node:crypto'
import type { Client } from '../../client/client.ts'
import { ENDPOINTS } from '../../domain/batch.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { submittedEvent } from '../events.ts'
import { batchView, metadataOption, pasteable, windowOption } from './batches-options.ts'
import { textOption } from './input.ts'

/** Guess: nearly every first line fits. */
const HEAD_BYTES = 64 * 1024
/** Required by the limit of a line. */
const HEAD_BYTES_MAX = 64 * 1024 * 1024

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const fileId = textOption(input, 'file')
  if (fileId === null)
    throw usageError('Name the uploaded file with --file ID.', '`dw files list` shows them.')
  const window = windowOption(input)
  const metadata = metadataOption(input)
  const client = await context.client()
  const { signal, output } = context
  // An unknown file ends here: nothing is made of it.
  const file = await client.files.get(fileId, signal)
  const endpoint = await firstEndpoint(client, file.id, signal)
  const batch = await client.batches.create({
    inputFileId: file.id,
    endpoint: endpoint ?? ENDPOINTS[0],
    completionWindow: window,
    ...(metadata !== null && { metadata }),
    idempotencyKey: randomUUID(),
    signal,
  })
  output.event(submittedEvent(batch))
  output.object(batch, batchView(output))
  if (endpoint === null) output.say(`The endpoint of its lines could not be read; ${ENDPOINTS[0]} was taken.`)
  output.say(`Watch it: ${pasteable(['batches', 'watch', batch.id])}`)
  return 0
}

/** The `url` of the first request line; null when that is no line of a request. */
async function firstEndpoint(client: Client, fileId: string, signal: AbortSignal): Promise<string | null> {
  for (let bytes = HEAD_BYTES; bytes <= HEAD_BYTES_MAX; bytes *= 8) {
    const head = await readHead(client, { fileId, bytes, signal })
    const text = head.toString('utf8')
    const isWhole = head.byteLength < bytes
    const lines = text.split('\n')
    const line = (isWhole ? lines : lines.slice(0, -1)).find((candidate) => candidate.trim() !== '')
    if (line !== undefined) return endpointOf(line)
    if (isWhole) return null
  }
  return null
}

async function readHead(
  client: Client,
  wanted: { fileId: string; bytes: number; signal: AbortSignal },
): Promise<Buffer> {
  const { body } = await client.files.content(wanted.fileId, {
    range: { start: 0, end: wanted.bytes },
    signal: wanted.signal,
  })
  const parts: Uint8Array[] = []
  let bytes = 0
  // A server without ranges sends the whole file: it is not read further than wanted.
  for await (const part of body) {
    parts.push(part)
    bytes += part.byteLength
    if (bytes >= wanted.bytes) break
  }
  return Buffer.concat(parts).subarray(0, wanted.bytes)
}

function endpointOf(line: string): string | null {
  try {
    const row: unknown = JSON.parse(line)
    return typeof row === 'object' && row !== null && 'url' in row && typeof row.url === 'string'
      ? row.url
      : null
  } catch {
    // The server tells which lines are no JSON, and where.
    return null
  }
}
