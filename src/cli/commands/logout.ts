import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { readProfiles } from '../profiles.ts'
import { forgetProfile } from './profile-view.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const known = readProfiles(context.env)
  const name = input.arguments[0] ?? known.active
  if (name === null)
    throw usageError('No profile is active.', `Known: ${Object.keys(known.profiles).join(', ') || 'none'}.`)
  forgetProfile(context, known, name)
  return 0
}
