import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { readProfiles, requireProfileName, writeProfiles } from '../profiles.ts'
import { requireSetting, type SettingName, settings } from '../settings.ts'
import { argument, flagOption, textOption } from './input.ts'
import { readKey, requireServerUrl } from './login.ts'
import { sayIfCommentsLost } from './profile-view.ts'

/** Stores without asking the server: for a machine that cannot reach it yet. */
export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { env, output } = context
  const name = requireProfileName(argument(input, 0))
  const url = requireServerUrl(argument(input, 1))
  const known = readProfiles(env)
  if (Object.hasOwn(known.profiles, name))
    throw usageError(
      `There is a profile '${name}' already.`,
      `Its key is changed by: dw login ${url} --name ${JSON.stringify(name)}`,
    )
  const key = await readKey(context, { isFromStdin: flagOption(input, 'keyStdin'), url, known })
  const profile = {
    url,
    isUrlExact: false,
    key,
    completionWindow: settingOption(input, 'completion_window'),
    model: settingOption(input, 'model'),
    allowFailures: settingOption(input, 'allow_failures'),
  }
  const saved = writeProfiles(env, { ...known, profiles: { ...known.profiles, [name]: profile } })
  output.say(
    `Stored profile '${name}' for ${url}, unchecked. To use it: dw account use ${JSON.stringify(name)}`,
  )
  sayIfCommentsLost(context, saved)
  return 0
}

function settingOption(input: CommandInput, name: SettingName): string | null {
  const value = textOption(input, settings[name].field)
  return value === null ? null : requireSetting(name, value, `--${name.replaceAll('_', '-')}`)
}
