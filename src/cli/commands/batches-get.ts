import type { CommandContext, CommandInput } from '../command.ts'
import { oneLine } from '../format.ts'
import { inputFaults } from '../summary.ts'
import { extrasOf } from '../summary-outcome.ts'
import { batchView, requireId } from './batches-options.ts'

/** Exit 0 whatever state the batch is in. */
export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const client = await context.client()
  const batch = await client.batches.get(requireId(input), context.signal)
  context.output.object(batch, batchView(context.output))
  // JSON has it all under its own names.
  if (context.output.format === 'json') return 0
  const reason = extrasOf(batch)?.state_reason ?? null
  if (reason !== null) context.output.say(oneLine(reason))
  for (const line of inputFaults(batch)) context.output.say(line)
  return 0
}
