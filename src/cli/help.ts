/** Pages of help, made from the commands' data: the short one, the whole one, of a group, and of one command. */
import type { CommandSpec, Option } from './command.ts'
import { commands, groups } from './commands.ts'
import { alwaysExits, type ExitName, exitCodes } from './exit-codes.ts'
import { globalOptions } from './global-options.ts'

/**
 * Commands that serve one purpose. `names`: a whole command (`batches run`), or a first word (`files`) for all its commands that no
 * group names whole. The most used come first.
 */
export type Group = { names: readonly string[]; summary: string }

const PAD = 26
const INDENT = '  '
/** Guess: narrower than this a second column holds no sentence. */
const COLUMNS_MIN = 60
/** Guess: what the short page shows of a group. */
const SHORT_NAMES = 7

/** Title and one sentence of each topic of `dw help TOPIC`; the texts stand in help-topics.ts. */
export const topics: Readonly<Record<string, string>> = {
  'exit-codes': 'what the exit code says',
  errors: 'what the code of an error says',
  environment: 'variables that are read',
  formatting: 'tables, JSON, plain text, colour',
  config: 'where server, key and profile come from',
  agents: 'how a program or an agent works with dw',
}

const TAGLINE = 'Batch work against LLM APIs: submit, watch, results; and the server that does it'

const groupSummaries: Readonly<Record<string, string>> = {
  batches: 'Batches: submit, watch, read, retry',
  files: 'Request files: on the server, and on this machine',
  models: 'Models that can be asked',
  upstream: 'Engines behind the server',
  keys: 'Keys to the server',
  account: 'Stored servers with their keys and defaults',
  config: 'The configuration of this command line',
}

export function summaryOf(path: readonly string[]): string {
  const [name] = path
  return name === undefined ? TAGLINE : (groupSummaries[name] ?? `Commands of ${name}`)
}

/** Commands of a group in its order. */
export function commandsOf(group: Group): CommandSpec[] {
  const named = new Set(groups.flatMap(({ names }) => names.filter((name) => name.includes(' '))))
  return group.names.flatMap((name) =>
    commands.filter(({ path }) => {
      const whole = path.join(' ')
      return whole === name || (path[0] === name && path.length > 1 && !named.has(whole))
    }),
  )
}

/** Exit codes that a command can end with, ascending. */
export function exitsOf(spec: CommandSpec): ExitName[] {
  const all = new Set([...alwaysExits, ...(spec.exits ?? [])])
  return [...all].toSorted((a, b) => exitCodes[a].code - exitCodes[b].code)
}

/** `dw batches run [options] <paths…>`. */
export function usageOf(spec: CommandSpec): string {
  const words = spec.arguments.map(({ name, isVariadic, isOptional }) => {
    const shown = isVariadic === true ? `${name}…` : name
    return isOptional === true ? `[${shown}]` : `<${shown}>`
  })
  return ['dw', ...spec.path, ...(spec.options.length > 0 ? ['[options]'] : []), ...words].join(' ')
}

/** Where the reference describes a command. */
export function docsOf(spec: CommandSpec): string {
  return `docs/cli.md#dw-${spec.path.join('-')}`
}

/** For the bare command. */
export function shortHelp(): string {
  const lines = [`dw: ${TAGLINE}`, '', ...beginLines(), '']
  for (const group of groups) {
    const names = commandsOf(group).map(({ path }) => path.join(' '))
    const shown = names.slice(0, SHORT_NAMES).join(', ')
    lines.push(...row(group.summary, names.length > SHORT_NAMES ? `${shown}, …` : shown))
  }
  lines.push('', 'All commands: dw --help    One of them: dw COMMAND --help    Topics: dw help TOPIC', '')
  return lines.join('\n')
}

export function rootHelp(): string {
  const lines = [`dw: ${TAGLINE}`, '', ...beginLines()]
  for (const group of groups) {
    lines.push('', `${group.summary}:`)
    for (const spec of commandsOf(group)) lines.push(...row(spec.path.join(' '), spec.summary))
  }
  lines.push('', 'Everywhere:', ...optionRows(globalOptions), ...row('-h, --help', 'Help for any command'))
  lines.push('', 'Topics (dw help TOPIC):')
  for (const [name, says] of Object.entries(topics)) lines.push(...row(name, says))
  lines.push('', 'Docs: docs/cli.md; for programs: dw help --json, dw schema', '')
  return lines.join('\n')
}

export function groupHelp(path: readonly string[]): string {
  const members = commands.filter((spec) => spec.path[0] === path[0])
  const rows = members.flatMap((spec) => row(spec.path.join(' '), spec.summary))
  const first = members[0]?.examples[0]
  const example = first === undefined ? [] : ['', 'For example:', `${INDENT}${first}`]
  return [
    `dw ${path.join(' ')}: ${summaryOf(path)}`,
    '',
    ...rows,
    ...example,
    '',
    'Docs: docs/cli.md',
    '',
  ].join('\n')
}

export function helpOf(spec: CommandSpec): string {
  const lines = [`dw ${spec.path.join(' ')}: ${spec.summary}`, '', `Usage: ${usageOf(spec)}`]
  if (spec.arguments.length > 0)
    lines.push(
      '',
      'Arguments:',
      ...spec.arguments.flatMap(({ name, help, choices }) => row(name, withChoices(help, choices))),
    )
  if (spec.options.length > 0) lines.push('', 'Options:', ...optionRows(spec.options))
  lines.push('', 'Examples:', ...spec.examples.map((example) => `${INDENT}${example}`))
  lines.push('', 'Exit codes:')
  for (const name of exitsOf(spec))
    lines.push(...row(String(exitCodes[name].code).padStart(3), exitCodes[name].says, 5))
  const printed = printsWords(spec)
  if (printed !== null) lines.push('', printed)
  lines.push('', `Everywhere: ${globalOptions.map(({ flags }) => flags).join(', ')} (dw --help)`)
  lines.push(`Docs: ${docsOf(spec)}`, '')
  return lines.join('\n')
}

/** What programs read from it; null where it prints nothing for them. */
export function printsWords(spec: CommandSpec): string | null {
  const schemas = (spec.prints ?? []).filter((name) => name !== 'bytes')
  return schemas.length === 0
    ? null
    : `With --json, by the line: ${schemas.map((name) => `dw schema ${name}`).join(', ')}`
}

function beginLines(): string[] {
  const column = 46
  return [
    'Begin:',
    ...row('dw serve', 'server and engine on this machine', column),
    ...row('dw upstream add http://localhost:8000/v1', 'an engine behind it', column),
    ...row('dw run requests.jsonl -o results.jsonl', 'check, submit, wait, fetch, account for all', column),
    ...row('dw batches list', 'what runs, and what came of it', column),
  ]
}

function optionRows(options: readonly Option[]): string[] {
  return options.flatMap(({ flags, help, choices }) => row(flags, withChoices(help, choices)))
}

function withChoices(help: string, choices: readonly string[] | undefined): string {
  return choices === undefined ? help : `${help}; one of ${choices.join(', ')}`
}

/** Two columns. The second is wrapped to the terminal; in a pipe a row is one line. */
function row(left: string, right: string, pad = PAD): string[] {
  const start = INDENT.length + pad
  const columns =
    process.stdout.isTTY === true ? Math.max(COLUMNS_MIN, process.stdout.columns) : Number.POSITIVE_INFINITY
  const lines = [`${INDENT}${left.padEnd(pad)}`]
  // A first column that is too wide has its line for itself.
  if (left.length >= pad) lines.push(' '.repeat(start))
  let isEmpty = true
  for (const word of right.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (!isEmpty && line.length + 1 + word.length > columns) {
      lines.push(`${' '.repeat(start)}${word}`)
      continue
    }
    lines[lines.length - 1] = isEmpty ? `${line}${word}` : `${line} ${word}`
    isEmpty = false
  }
  return lines
}
