import type { CommandContext, CommandInput } from '../command.ts'
import { follow } from './batches-follow.ts'
import { allowanceOption, requireIds } from './batches-options.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const ids = requireIds(input)
  const allowance = allowanceOption(input, context.env)
  return follow(ids, { context, client: await context.client(), allowance })
}
