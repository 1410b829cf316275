import type { CommandContext } from '../command.ts'
import { modelView } from './views.ts'

export async function run(context: CommandContext): Promise<number> {
  const client = await context.client()
  context.output.rows(await client.models.list(context.signal), modelView)
  return 0
}
