import { isPassing } from '../../client/client.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { resumed } from '../results-content.ts'
import { noSink, openFileSink } from '../results-sink.ts'
import { argument, textOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = argument(input, 0)
  const path = textOption(input, 'outputFile')
  const client = await context.client()
  const chunks = resumed({
    open: (fromByte) =>
      client.files.content(
        id,
        fromByte === 0 ? { signal: context.signal } : { range: { start: fromByte }, signal: context.signal },
      ),
    isPassing,
    signal: context.signal,
  })
  const sink = path === null ? { ...noSink, write: context.output.bytes } : await openFileSink(path)
  try {
    for await (const chunk of chunks) await sink.write(chunk)
    await sink.commit()
  } catch (thrown) {
    await sink.abort()
    throw thrown
  }
  if (path !== null) context.output.say(`Wrote ${path}.`)
  return 0
}
