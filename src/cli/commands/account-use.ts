import type { CommandContext, CommandInput } from '../command.ts'
import { readProfiles, requireProfile, writeProfiles } from '../profiles.ts'
import { argument } from './input.ts'
import { sayIfCommentsLost } from './profile-view.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const known = readProfiles(context.env)
  const { name, url } = requireProfile(known, argument(input, 0))
  const saved = writeProfiles(context.env, { ...known, active: name })
  context.output.say(`Profile '${name}' is used from now on: ${url}`)
  sayIfCommentsLost(context, saved)
  return 0
}
