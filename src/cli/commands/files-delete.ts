import type { CommandContext, CommandInput } from '../command.ts'
import { confirmed } from './ask.ts'
import { pasteable } from './batches-options.ts'
import { argument, flagOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = argument(input, 0)
  const client = await context.client()
  const question = {
    text: `Delete file ${id}?`,
    isYes: flagOption(input, 'yes'),
    command: pasteable(['files', 'delete', id, '--yes']),
  }
  if (!(await confirmed(context, question))) return 0
  const deleted = await client.files.delete(id)
  if (context.output.format === 'json') context.output.json(deleted)
  context.output.say(`Deleted ${id}.`)
  return 0
}
