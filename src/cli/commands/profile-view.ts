/** How profiles look as rows, and what several commands do to them. */
import type { CommandContext } from '../command.ts'
import type { View } from '../output.ts'
import { maskedKey, type Profiles, requireProfile, writeProfiles } from '../profiles.ts'
import type { NamedProfile } from '../target.ts'

type ProfileRow = ReturnType<typeof profileRow>

/** What is shown of a profile. */
export function profileRow(profile: NamedProfile, active: string | null) {
  return {
    name: profile.name,
    active: profile.name === active,
    url: profile.url,
    key: maskedKey(profile.key),
    completion_window: profile.completionWindow,
    model: profile.model,
    allow_failures: profile.allowFailures,
  }
}

export const profileView: View<ProfileRow> = {
  columns: [
    { title: 'Profile', value: (row) => `${row.active ? '* ' : ''}${row.name}` },
    { title: 'Server', value: (row) => row.url },
    { title: 'Key', value: (row) => row.key ?? 'none' },
    { title: 'Window', value: (row) => row.completion_window ?? '-' },
    { title: 'Model', value: (row) => row.model ?? '-' },
    { title: 'Failures allowed', value: (row) => row.allow_failures ?? '-' },
  ],
  id: (row) => row.name,
  plain: (row) => [row.name, row.url, row.active ? 'active' : ''],
}

/** No other profile becomes active by itself: a command would go to a server that nobody chose. */
export function forgetProfile(context: CommandContext, known: Profiles, name: string): void {
  requireProfile(known, name)
  const { [name]: _gone, ...profiles } = known.profiles
  const active = known.active === name ? null : known.active
  const saved = writeProfiles(context.env, { active, profiles })
  context.output.say(`Forgot profile '${name}' and its key.`)
  sayIfCommentsLost(context, saved)
}

export function sayIfCommentsLost({ output }: CommandContext, saved: { areCommentsKept: boolean }): void {
  if (!saved.areCommentsKept) output.warn('The configuration was written anew: its comments are lost.')
}
