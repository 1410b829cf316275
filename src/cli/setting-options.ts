/** Options that were not given get the settings of the environment, the project or the profile. */
import type { CommandContext, CommandInput, CommandSpec } from './command.ts'
import { flagsOf } from './global-options.ts'
import { settings } from './settings.ts'

export function withSettings(
  spec: CommandSpec,
  input: CommandInput,
  context: Pick<CommandContext, 'setup'>,
): CommandInput {
  const open = spec.options.flatMap(({ setting, ...option }) =>
    setting === undefined || isGiven(input, flagsOf(option)) ? [] : [setting],
  )
  // Nothing is read for a command that has no use for it.
  if (open.length === 0) return input
  const found = context
    .setup()
    .settings.filter(({ name }) => open.includes(name))
    .map(({ name, value }) => [settings[name].field, value])
  return { ...input, options: { ...input.options, ...Object.fromEntries(found) } }
}

function isGiven({ options }: CommandInput, flags: readonly string[]): boolean {
  return flags.some((flag) => options[camelCase(flag)] !== undefined)
}

function camelCase(flag: string): string {
  return flag.replace(/^-+/, '').replaceAll(/-(\w)/g, (_all, letter: string) => letter.toUpperCase())
}
