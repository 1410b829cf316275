import type { CommandContext } from '../command.ts'
import { upstreamView } from './views.ts'

export async function run(context: CommandContext): Promise<number> {
  const admin = await context.admin()
  context.output.rows(await admin.admin.upstreams.list(), upstreamView)
  return 0
}
