/** A default of the profile that is named by --profile, else of the active one. Its server and key are changed by `dw login` alone. */
import { usageError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { writeProfiles } from '../profiles.ts'
import { PROJECT_FILE } from '../project-file.ts'
import { type SettingName, settings } from '../settings.ts'
import { sayIfCommentsLost } from './profile-view.ts'

/** @param value null takes it away. @returns the exit code */
export function changeSetting(context: CommandContext, name: SettingName, value: string | null): number {
  const { known, active, target } = context.setup()
  const profile = target?.layer === 'flag' ? target.profile : active
  if (profile === null)
    throw usageError(
      'No profile is active, and a setting belongs to one.',
      `Store one with \`dw login URL\`, or write ${name} = "…" into ${PROJECT_FILE} of the project.`,
    )
  const { name: profileName, ...stored } = profile
  const changed = { ...stored, [settings[name].field]: value }
  const saved = writeProfiles(context.env, {
    ...known,
    profiles: { ...known.profiles, [profileName]: changed },
  })
  context.output.say(
    value === null
      ? `Profile '${profileName}' has no ${name} any more.`
      : `Profile '${profileName}': ${name} = ${value}`,
  )
  sayIfCommentsLost(context, saved)
  return 0
}
