import type { CommandContext, CommandInput } from '../command.ts'
import { requireSetting, requireSettingName } from '../settings.ts'
import { changeSetting } from './config-change.ts'
import { argument } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const name = requireSettingName(argument(input, 0))
  return changeSetting(context, name, requireSetting(name, argument(input, 1), 'dw config set'))
}
