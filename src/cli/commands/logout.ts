import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { readProfiles, writeProfiles } from '../user-files.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const known = readProfiles(context.env)
  const name = input.arguments[0] ?? known.active
  if (name === null || known.profiles[name] === undefined) {
    throw usageError(
      name === null ? 'No profile is active.' : `There is no profile '${name}'.`,
      `Known: ${Object.keys(known.profiles).join(', ') || 'none'}.`,
    )
  }
  const { [name]: _gone, ...profiles } = known.profiles
  const active = known.active === name ? null : known.active
  writeProfiles(context.env, { active, profiles })
  context.output.say(`Forgot profile '${name}'.`)
  return 0
}
