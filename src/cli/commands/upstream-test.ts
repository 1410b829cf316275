import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { argument } from './input.ts'
import { upstreamView } from './views.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const upstream = await (await context.admin()).admin.upstreams.test(argument(input, 0))
  context.output.object(upstream, upstreamView)
  return exitCode(upstream.reason === null ? 'ok' : 'unreachable')
}
