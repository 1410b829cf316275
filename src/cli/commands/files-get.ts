import type { CommandContext, CommandInput } from '../command.ts'
import { argument } from './input.ts'
import { fileView } from './views.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const client = await context.client()
  context.output.object(await client.files.get(argument(input, 0), context.signal), fileView)
  return 0
}
