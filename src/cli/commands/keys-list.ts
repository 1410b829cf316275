import type { CommandContext } from '../command.ts'
import { keyView } from './views.ts'

export async function run(context: CommandContext): Promise<number> {
  const admin = await context.admin()
  context.output.rows(await admin.admin.keys.list(), keyView)
  return 0
}
