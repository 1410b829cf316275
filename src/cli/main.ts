/** The command line: builds the parser from the commands' data, runs one command, turns whatever happens into words and an exit code. */
import { Command, CommanderError, Option as CommanderOption } from 'commander'
import { VERSION } from '../lib/version.ts'
import { type ErrorFacts, errorFacts, usageError } from './cli-error.ts'
import type { CommandInput, CommandSpec } from './command.ts'
import { commands, groups } from './commands.ts'
import { exitCode } from './exit-codes.ts'
import { addHelpTopics, helpOf } from './help.ts'
import type { Format } from './output.ts'
import { printable, printableJson } from './printable.ts'

const FORMATS: readonly Format[] = ['table', 'json', 'plain']

/** @returns the exit code */
export async function main(words: readonly string[]): Promise<number> {
  endQuietlyOnClosedPipe()
  const outcome: { run: (() => Promise<number>) | null } = { run: null }
  const program = buildProgram((run) => {
    outcome.run = run
  })
  try {
    await program.parseAsync(liftGlobalOptions(words), { from: 'user' })
    if (outcome.run !== null) return await outcome.run()
    program.outputHelp({ error: words.length === 0 })
    return exitCode(words.length === 0 ? 'usage' : 'ok')
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : exitCode('usage')
    const facts = errorFacts(thrown)
    tell(facts, words.includes('--json') || words.includes('json'))
    return facts.exitCode
  }
}

function buildProgram(onRun: (run: () => Promise<number>) => void): Command {
  const program = new Command('dw')
  program
    .description('Batch work against LLM APIs: submit, watch, results; and the server that does it.')
    .version(VERSION, '-V, --version')
    .helpOption('-h, --help', 'Show help')
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError(true)
    .showHelpAfterError('Run the command with --help to see what it takes.')
    .configureHelp({ formatHelp: () => helpOf(groups, commands) })
  addGlobalOptions(program)
  addHelpTopics(program, onRun)
  const parents = new Map<string, Command>()
  for (const spec of commands) addCommand(parentOf(program, parents, spec), spec, onRun)
  return program
}

function addGlobalOptions(command: Command): void {
  command
    .option('--server <url>', 'Server to talk to (also DW_SERVER)')
    .option('--profile <name>', 'Stored server and key to use')
    .option('--output <format>', 'table, json or plain (default: table on a terminal, json in a pipe)')
    .option('--json', 'The same as --output json')
    .option('--quiet', 'No words on stderr except warnings and errors')
    .option('--verbose', 'Tell about retries and choices')
}

/** Global options may stand anywhere: they are brought to the front, where the parser wants them. */
function liftGlobalOptions(words: readonly string[]): string[] {
  const lifted: string[] = []
  const rest: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (word === '--') {
      rest.push(...words.slice(at))
      break
    }
    const hasValue = word === '--server' || word === '--output' || word === '--profile'
    if (hasValue) {
      lifted.push(word, ...words.slice(at + 1, at + 2))
      at += 1
    } else if (
      /^--(server|output|profile)=/.test(word) ||
      word === '--json' ||
      word === '--quiet' ||
      word === '--verbose'
    )
      lifted.push(word)
    else rest.push(word)
  }
  return [...lifted, ...rest]
}

function parentOf(program: Command, parents: Map<string, Command>, spec: CommandSpec): Command {
  const [group] = spec.path
  if (spec.path.length === 1 || group === undefined) return program
  let parent = parents.get(group)
  if (parent === undefined) {
    parent = program
      .command(group)
      .description(groups.find(({ names }) => names.includes(group))?.summary ?? '')
    parent.exitOverride().helpCommand(false).showSuggestionAfterError(true)
    parents.set(group, parent)
  }
  return parent
}

function addCommand(parent: Command, spec: CommandSpec, onRun: (run: () => Promise<number>) => void): void {
  const command = parent.command(spec.path.at(-1) ?? '').description(spec.summary)
  command.exitOverride().showSuggestionAfterError(true).allowExcessArguments(false)
  for (const argument of spec.arguments) {
    const name = argument.isVariadic === true ? `${argument.name}...` : argument.name
    command.argument(argument.isOptional === true ? `[${name}]` : `<${name}>`, argument.help)
  }
  for (const option of spec.options) {
    const built = new CommanderOption(option.flags, option.help)
    if (option.choices !== undefined) built.choices([...option.choices])
    if (option.isRepeatable === true)
      built.argParser((value: string, all: string[] | undefined) => [...(all ?? []), value])
    command.addOption(built)
  }
  command.addHelpText('after', `\nExamples:\n${spec.examples.map((example) => `  ${example}`).join('\n')}`)
  command.action((...given: unknown[]) => {
    // The parser passes the positional values, then its options, then itself.
    const positional = given
      .slice(0, spec.arguments.length)
      .flat()
      .filter((value): value is string => typeof value === 'string')
    const input: CommandInput = { arguments: positional, options: command.opts() }
    onRun(() => run(spec, input, command.optsWithGlobals()))
  })
}

async function run(spec: CommandSpec, input: CommandInput, global: Record<string, unknown>): Promise<number> {
  const abort = new AbortController()
  const onInterrupt = (): void => {
    if (abort.signal.aborted) process.exit(exitCode('interrupted'))
    abort.abort(new Error('interrupted'))
  }
  // The server has signals of its own.
  if (spec.path[0] !== 'serve') process.on('SIGINT', onInterrupt)
  const { createContext } = await import('./context.ts')
  const context = createContext(
    {
      server: textOrNull(global.server),
      profile: textOrNull(global.profile),
      format: formatOf(global),
      isQuiet: global.quiet === true,
      isVerbose: global.verbose === true,
    },
    abort.signal,
  )
  try {
    const command = await spec.load()
    return await command.run(context, input)
  } catch (thrown) {
    if (abort.signal.aborted && thrown === abort.signal.reason) return exitCode('interrupted')
    throw thrown
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}

function formatOf(global: Record<string, unknown>): Format {
  if (global.json === true) return 'json'
  const named = textOrNull(global.output)
  if (named === null) return process.stdout.isTTY === true ? 'table' : 'json'
  const format = FORMATS.find((candidate) => candidate === named)
  if (format !== undefined) return format
  const isPath = /[./\\]/.test(named)
  throw usageError(
    `--output takes table, json or plain, not '${named}'.`,
    isPath
      ? `To write to a file use -o ${named}`
      : 'It says how results are shown; -o FILE says where they go.',
  )
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function tell(facts: ErrorFacts, isJson: boolean): void {
  if (isJson) {
    const { code, message, hint, requestId, status } = facts
    process.stderr.write(
      `${printableJson({ error: { code, message, hint, request_id: requestId, status } })}\n`,
    )
    return
  }
  const lines = [`error[${facts.code}]: ${facts.message}`]
  if (facts.hint !== null) lines.push(`  ${facts.hint}`)
  if (facts.requestId !== null) lines.push(`  request id ${facts.requestId}`)
  process.stderr.write(`${printable(lines.join('\n'))}\n`)
}

/** Whoever reads our output may stop reading: that is no error of ours. */
function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
}
