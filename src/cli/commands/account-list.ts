import type { CommandContext } from '../command.ts'
import { namedProfiles, readProfiles } from '../profiles.ts'
import { profileRow, profileView } from './profile-view.ts'

export async function run({ output, env }: CommandContext): Promise<number> {
  const known = readProfiles(env)
  output.rows(
    namedProfiles(known).map((profile) => profileRow(profile, known.active)),
    profileView,
  )
  return 0
}
