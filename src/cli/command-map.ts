/** All commands as one JSON object, for programs that find their way by it. */
import { VERSION } from '../lib/version.ts'
import type { Argument, CommandSpec, Option } from './command.ts'
import { commands, groups } from './commands.ts'
import { environmentVariables } from './environment.ts'
import { exitCodes } from './exit-codes.ts'
import { globalOptions } from './global-options.ts'
import { commandsOf, docsOf, exitsOf, topics, usageOf } from './help.ts'

export function commandMap() {
  return {
    object: 'command_map' as const,
    version: VERSION,
    groups: groups.map((group) => ({
      summary: group.summary,
      commands: commandsOf(group).map(({ path }) => path.join(' ')),
    })),
    commands: commands.map(commandEntry),
    global_options: globalOptions.map(optionEntry),
    exit_codes: Object.entries(exitCodes).map(([name, { code, says }]) => ({ name, code, says })),
    environment: environmentVariables.map(({ names, says }) => ({ names: [...names], says })),
    topics: Object.entries(topics).map(([name, says]) => ({ name, says })),
  }
}

function commandEntry(spec: CommandSpec) {
  return {
    command: spec.path.join(' '),
    summary: spec.summary,
    usage: usageOf(spec),
    arguments: spec.arguments.map(argumentEntry),
    options: spec.options.map(optionEntry),
    examples: [...spec.examples],
    exit_codes: exitsOf(spec).map((name) => exitCodes[name].code),
    prints: (spec.prints ?? []).filter((name) => name !== 'bytes'),
    docs: docsOf(spec),
  }
}

function argumentEntry({ name, help, isOptional, isVariadic, choices }: Argument) {
  return {
    name,
    help,
    optional: isOptional === true,
    variadic: isVariadic === true,
    choices: choices === undefined ? null : [...choices],
  }
}

function optionEntry({ flags, help, isRepeatable, choices }: Option) {
  return {
    flags,
    help,
    repeatable: isRepeatable === true,
    choices: choices === undefined ? null : [...choices],
  }
}
