import type { CommandContext, CommandInput } from '../command.ts'
import { confirmed } from './ask.ts'
import { pasteable } from './batches-options.ts'
import { argument, flagOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const name = argument(input, 0)
  const question = {
    text: `Take upstream ${name} away? Batches that ask for its models wait until another one serves them.`,
    isYes: flagOption(input, 'yes'),
    command: pasteable(['upstream', 'remove', name, '--yes']),
  }
  if (!(await confirmed(context, question))) return 0
  const removed = await (await context.admin()).admin.upstreams.remove(name)
  if (context.output.format === 'json') context.output.json(removed)
  context.output.say(
    `Removed ${name}. Batches that ask for its models wait until another upstream serves them.`,
  )
  return 0
}
