import type { WireFile } from '../../contract/wire.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { showEach } from './each-id.ts'
import { fileView } from './views.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const client = await context.client()
  const get = (id: string): Promise<WireFile> => client.files.get(id, context.signal)
  return showEach([...new Set(input.arguments)], context, { get, view: fileView })
}
