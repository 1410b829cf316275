import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { readProfiles, requireProfile } from '../profiles.ts'
import { profileRow, profileView } from './profile-view.ts'

export async function run({ output, env }: CommandContext, input: CommandInput): Promise<number> {
  const known = readProfiles(env)
  const name = input.arguments[0] ?? known.active
  if (name === null)
    throw usageError('No profile is active.', '`dw account list` shows those that there are.')
  output.object(profileRow(requireProfile(known, name), known.active), profileView)
  return 0
}
