import type { CommandContext, CommandInput } from '../command.ts'
import { confirmed } from './ask.ts'
import { pasteable } from './batches-options.ts'
import { argument, flagOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = argument(input, 0)
  const question = {
    text: `Revoke key ${id}?`,
    isYes: flagOption(input, 'yes'),
    command: pasteable(['keys', 'revoke', id, '--yes']),
  }
  if (!(await confirmed(context, question))) return 0
  const revoked = await (await context.admin()).admin.keys.revoke(id)
  if (context.output.format === 'json') context.output.json(revoked)
  context.output.say(`Revoked ${id}.`)
  return 0
}
