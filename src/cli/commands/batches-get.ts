import type { WireBatch } from '../../contract/wire.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { oneLine } from '../format.ts'
import { inputFaults } from '../summary.ts'
import { extrasOf } from '../summary-outcome.ts'
import { batchView, requireIds } from './batches-options.ts'
import { showEach } from './each-id.ts'

/** Exit 0 whatever state the batches are in. */
export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const client = await context.client()
  const { output, signal } = context
  const shown: WireBatch[] = []
  const get = async (id: string): Promise<WireBatch> => {
    const batch = await client.batches.get(id, signal)
    shown.push(batch)
    return batch
  }
  const code = await showEach(requireIds(input), context, { get, view: batchView(output) })
  // JSON has it all under its own names.
  if (output.format === 'json') return code
  for (const batch of shown) {
    const reason = extrasOf(batch)?.state_reason ?? null
    if (reason !== null) output.say(oneLine(reason))
    for (const line of inputFaults(batch)) output.say(line)
  }
  return code
}
