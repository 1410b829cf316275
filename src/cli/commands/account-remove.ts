import type { CommandContext, CommandInput } from '../command.ts'
import { readProfiles, requireProfile } from '../profiles.ts'
import { confirmed } from './ask.ts'
import { pasteable } from './batches-options.ts'
import { argument, flagOption } from './input.ts'
import { forgetProfile } from './profile-view.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const known = readProfiles(context.env)
  const { name } = requireProfile(known, argument(input, 0))
  const question = {
    text: `Forget profile '${name}' and its key?`,
    isYes: flagOption(input, 'yes'),
    command: pasteable(['account', 'remove', name, '--yes']),
  }
  if (!(await confirmed(context, question))) return 0
  forgetProfile(context, known, name)
  return 0
}
