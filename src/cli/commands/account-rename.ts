import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { readProfiles, requireProfile, requireProfileName, writeProfiles } from '../profiles.ts'
import { argument } from './input.ts'
import { sayIfCommentsLost } from './profile-view.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const known = readProfiles(context.env)
  const { name: from } = requireProfile(known, argument(input, 0))
  const to = requireProfileName(argument(input, 1))
  if (Object.hasOwn(known.profiles, to)) throw usageError(`There is a profile '${to}' already.`)
  const profiles = Object.entries(known.profiles).map(([name, profile]) => [
    name === from ? to : name,
    profile,
  ])
  const active = known.active === from ? to : known.active
  const saved = writeProfiles(context.env, { active, profiles: Object.fromEntries(profiles) }, { from, to })
  context.output.say(`Profile '${from}' is now '${to}'.`)
  sayIfCommentsLost(context, saved)
  return 0
}
