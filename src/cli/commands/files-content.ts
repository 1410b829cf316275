import { type ContentReply, isPassing } from '../../client/client.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { openDownload } from '../download.ts'
import { formatBytes } from '../format.ts'
import { resumed } from '../results-content.ts'
import { argument, textOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = argument(input, 0)
  const path = textOption(input, 'outputFile')
  const client = await context.client()
  const { signal, output } = context
  const open = (fromByte: number): Promise<ContentReply> =>
    client.files.content(id, fromByte === 0 ? { signal } : { range: { start: fromByte }, signal })
  /** A download that has begun outlasts minutes without a server; one that cannot begin is told at once. */
  const fetchFrom = (fromByte: number, begun: ContentReply): AsyncIterable<Uint8Array> => {
    let ready: ContentReply | null = begun
    const next = async (start: number): Promise<ContentReply> => {
      const reply = ready
      ready = null
      return reply ?? open(start)
    }
    return resumed({ open: next, fromByte, isPassing, signal })
  }
  if (path === null) {
    for await (const chunk of fetchFrom(0, await open(0))) await output.bytes(chunk)
    return 0
  }
  // Asked first: what does not exist makes no file.
  await client.files.get(id, signal)
  const download = await openDownload(path, { source: client.baseUrl, pieces: [id] })
  if (download.keptBytes > 0)
    output.say(`${path}: going on after ${formatBytes(download.keptBytes)} of an earlier download`)
  async function* fetched(fromByte: number): AsyncGenerator<Uint8Array> {
    yield* fetchFrom(fromByte, await open(fromByte))
  }
  try {
    for await (const chunk of download.read(0, fetched)) await download.write(chunk)
    await download.commit()
  } catch (thrown) {
    const part = await download.suspend()
    if (part !== null)
      output.warn(`What was fetched is kept in ${part}: the same command goes on from there.`)
    throw thrown
  }
  output.say(`Wrote ${path}.`)
  return 0
}
