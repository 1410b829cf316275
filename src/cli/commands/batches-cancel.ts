import type { CommandContext, CommandInput } from '../command.ts'
import { formatCount } from '../format.ts'
import { standingOf, stateWords } from '../summary-outcome.ts'
import { confirmed } from './ask.ts'
import { batchView, pasteable, requireId } from './batches-options.ts'
import { flagOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = requireId(input)
  const client = await context.client()
  const isYes = flagOption(input, 'yes')
  // Looked up for the question alone.
  const about =
    isYes || !context.isInteractive ? '' : `${progressWords(await client.batches.get(id, context.signal))}`
  const text = `Cancel ${id}?${about} What is answered so far is kept.`
  if (
    !(await confirmed(context, {
      text,
      isYes,
      command: pasteable(['batches', 'cancel', id, '--yes']),
    }))
  )
    return 0
  const batch = await client.batches.cancel(id)
  context.output.object(batch, batchView(context.output))
  context.output.say(`${id}: ${stateWords(batch)}`)
  return 0
}

function progressWords(batch: Parameters<typeof standingOf>[0]): string {
  const { succeeded, failed, total, status } = standingOf(batch)
  return total === 0
    ? ` It is ${status}.`
    : ` ${formatCount(succeeded + failed)} of ${formatCount(total)} are done.`
}
