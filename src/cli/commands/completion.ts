import type { CommandContext, CommandInput } from '../command.ts'
import { completionScript } from '../completion.ts'
import { argument } from './input.ts'

export async function run({ output }: CommandContext, input: CommandInput): Promise<number> {
  output.line(await completionScript(argument(input, 0)))
  return 0
}
