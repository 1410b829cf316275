/** The parser, built from the commands' data. Whatever it refuses becomes a usage error of ours, with the nearest right word. */
import { Command, type CommanderError, Option as CommanderOption } from 'commander'
import { VERSION } from '../lib/version.ts'
import { type CliError, usageError } from './cli-error.ts'
import type { CommandInput, CommandSpec, Option } from './command.ts'
import { commands } from './commands.ts'
import { globalOptions } from './global-options.ts'
import { groupHelp, helpOf, rootHelp, summaryOf } from './help.ts'
import { nearest, nearestCommand, nearestFlag } from './suggest.ts'

/** A command that was chosen, with what it was given. */
export type Chosen = { spec: CommandSpec; input: CommandInput; global: Record<string, unknown> }

/** @param onChosen called while parsing; the command runs afterwards */
export function buildProgram(onChosen: (chosen: Chosen) => void): Command {
  const program = new Command('dw')
  program
    .description(summaryOf([]))
    .version(VERSION, '-V, --version', 'Show the version')
    .helpOption('-h, --help', 'Show help')
    .helpCommand(false)
    .showSuggestionAfterError(false)
    .configureHelp({ formatHelp: (command) => helpText(pathOf(command)) })
    // What goes wrong is told in one place, as words or as JSON.
    .configureOutput({ outputError: () => undefined })
  for (const option of globalOptions) program.addOption(parserOption(option))
  refuse(program, null)
  const parents = new Map<string, Command>()
  for (const spec of commands) addCommand(parentOf(program, parents, spec), spec, onChosen)
  return program
}

/** The page of help for the program, a group of commands, or one command. */
export function helpText(path: readonly string[]): string {
  if (path.length === 0) return rootHelp()
  const spec = commands.find((one) => one.path.join(' ') === path.join(' '))
  return spec === undefined ? groupHelp(path) : helpOf(spec)
}

function pathOf(command: Command): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()]
}

function parentOf(program: Command, parents: Map<string, Command>, spec: CommandSpec): Command {
  const [group] = spec.path
  if (spec.path.length === 1 || group === undefined) return program
  const known = parents.get(group)
  if (known !== undefined) return known
  const parent = program
    .command(group)
    .description(summaryOf([group]))
    .helpCommand(false)
  refuse(parent, null)
  parents.set(group, parent)
  return parent
}

function addCommand(parent: Command, spec: CommandSpec, onChosen: (chosen: Chosen) => void): void {
  const command = parent.command(spec.path.at(-1) ?? '').description(spec.summary)
  command.allowExcessArguments(false)
  refuse(command, spec)
  for (const argument of spec.arguments) {
    const name = argument.isVariadic === true ? `${argument.name}...` : argument.name
    command.argument(argument.isOptional === true ? `[${name}]` : `<${name}>`, argument.help)
  }
  for (const option of spec.options) command.addOption(parserOption(option))
  command.action((...given: unknown[]) => {
    // The parser passes the positional values, then its options, then itself.
    const positional = given
      .slice(0, spec.arguments.length)
      .flat()
      .filter((value): value is string => typeof value === 'string')
    for (const [place, value] of positional.entries()) {
      const argument = spec.arguments[Math.min(place, spec.arguments.length - 1)]
      if (argument?.choices !== undefined) requireChoice(argument.name, value, argument.choices)
    }
    onChosen({
      spec,
      input: { arguments: positional, options: command.opts() },
      global: command.optsWithGlobals(),
    })
  })
}

function parserOption(option: Option): CommanderOption {
  const built = new CommanderOption(option.flags, option.help)
  const { choices, isRepeatable } = option
  if (choices !== undefined) {
    built.choices([...choices])
    built.argParser((value: string) => requireChoice(built.long ?? option.flags, value, choices))
  }
  if (isRepeatable === true)
    built.argParser((value: string, all: string[] | undefined) => [...(all ?? []), value])
  return built
}

function requireChoice(name: string, value: string, choices: readonly string[]): string {
  if (choices.includes(value)) return value
  const near = nearest(value, choices)
  // `--output results.json` is a common slip of the hand for `-o`.
  const isPath = name === '--output' && /[./\\]/.test(value)
  const hint = isPath ? `To write to a file use -o ${value}` : didYouMean(near)
  throw usageError(`${name} takes ${listOf(choices)}, not '${value}'.`, hint)
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

function didYouMean(word: string | null): string | undefined {
  return word === null ? undefined : `Did you mean ${word}?`
}

/** Makes every refusal of the parser at this command one of ours; help and version pass. */
function refuse(command: Command, spec: CommandSpec | null): void {
  command.exitOverride((thrown) => {
    throw thrown.exitCode === 0 || thrown.code === 'commander.help'
      ? thrown
      : explained(thrown, command, spec)
  })
}

function explained(thrown: CommanderError, command: Command, spec: CommandSpec | null): CliError {
  const message = thrown.message.replace(/^error: /, '')
  const path = pathOf(command)
  const help = `See: dw ${[...path, '--help'].join(' ')}`
  if (thrown.code === 'commander.unknownCommand') {
    const near = nearestCommand([...path, ...command.args], commands)
    return usageError(
      `There is no command 'dw ${[...path, command.args[0]].join(' ')}'.`,
      near === null ? help : `Did you mean: dw ${near}`,
    )
  }
  if (thrown.code === 'commander.unknownOption') {
    const flag = /'([^']*)'/.exec(message)?.[1] ?? ''
    const near = nearestFlag(flag, spec?.options ?? [])
    return usageError(
      `dw ${path.join(' ')} has no option ${flag}.`.replace('dw  ', 'dw '),
      didYouMean(near) ?? help,
    )
  }
  return usageError(`${message.charAt(0).toUpperCase()}${message.slice(1).replace(/\.?$/, '.')}`, help)
}
