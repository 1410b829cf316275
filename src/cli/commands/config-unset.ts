import type { CommandContext, CommandInput } from '../command.ts'
import { requireSettingName } from '../settings.ts'
import { changeSetting } from './config-change.ts'
import { argument } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  return changeSetting(context, requireSettingName(argument(input, 0)), null)
}
