/** How a command speaks: decided once, from its options, the environment and what its streams are. Pure. */
import { agentOf } from './agent.ts'
import { usageError } from './cli-error.ts'
import type { Format } from './output.ts'

/** How far batches have come is drawn, told by the line, told as events, or not at all. */
export type ProgressMode = 'bar' | 'lines' | 'json' | 'none'

const logLevels = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

export type Speech = {
  format: Format
  /** JSON was asked for by an option. */
  isJsonAsked: boolean
  /** No words, except warnings and errors. */
  isQuiet: boolean
  /** Rows are their ids alone. */
  isIdsOnly: boolean
  isVerbose: boolean
  /** Somebody is there to answer. */
  isInteractive: boolean
  isColoured: boolean
  /** Standard error can be drawn on. */
  isTerminal: boolean
  progress: ProgressMode
  /** Null: no log is kept. */
  logLevel: LogLevel | null
  logPath: string | null
  hasLogBodies: boolean
  eventsPath: string | null
  jqExpression: string | null
  fields: readonly string[] | null
  isTruncated: boolean
  /** Command of the pager; null: nothing is paged. */
  pager: string | null
  agent: string | null
}

export type SpeechFacts = {
  /** Options as the parser gives them. */
  options: Readonly<Record<string, unknown>>
  env: NodeJS.ProcessEnv
  tty: { stdin: boolean; stdout: boolean; stderr: boolean }
}

/** @throws CliError usage */
export function speechOf({ options, env, tty }: SpeechFacts): Speech {
  const agent = agentOf(env)
  const jqExpression = textOf(options.jq)
  const isJsonAsked = options.json === true || options.output === 'json' || jqExpression !== null
  const fields = fieldsOf(options.fields)
  const isDebug = options.debug === true || options.debugBodies === true
  const logLevel = logLevelOf({ isDebug, env })
  const logPath = filled(env.DW_LOG_FILE)
  const isScreen = tty.stderr && env.TERM !== 'dumb' && agent === null
  // A log on the same screen would tear the bars apart.
  const isTerminal = isScreen && (logLevel === null || logPath !== null)
  const isQuiet = options.quiet === true
  const format = formatOf(options, { isJsonAsked, isTable: tty.stdout && agent === null })
  const pager =
    options.pager === false || !tty.stdout || agent !== null || env.TERM === 'dumb' ? null : pagerOf(env)
  return {
    format,
    isJsonAsked,
    isQuiet,
    // A format that was asked for says more than the ids.
    isIdsOnly: isQuiet && !isJsonAsked && options.output === undefined && fields === null,
    isVerbose: options.verbose === true || isDebug,
    isInteractive:
      options.input !== false && tty.stdin && tty.stderr && filled(env.CI) === null && agent === null,
    isColoured: isColoured({ options, env, isScreen, agent }),
    isTerminal,
    progress: progressOf(textOf(options.progress) ?? 'auto', { isTerminal, isQuiet }),
    logLevel,
    logPath,
    hasLogBodies: options.debugBodies === true,
    eventsPath: textOf(options.eventsFile),
    jqExpression,
    fields,
    isTruncated: options.truncate !== false,
    pager,
    agent,
  }
}

/** Whether JSON was asked for, by words that could not be parsed. */
export function wantsJson(words: readonly string[]): boolean {
  const isNext = (flag: string, value: string): boolean =>
    words.some((word, place) => word === `${flag}=${value}` || (word === flag && words[place + 1] === value))
  const isJq = words.some((word) => word === '--jq' || word.startsWith('--jq='))
  return words.includes('--json') || isJq || isNext('--output', 'json') || isNext('--progress', 'json')
}

function formatOf(
  { output }: SpeechFacts['options'],
  { isJsonAsked, isTable }: { isJsonAsked: boolean; isTable: boolean },
): Format {
  if (isJsonAsked) return 'json'
  // The parser has refused any other word.
  if (output === 'table' || output === 'plain') return output
  return isTable ? 'table' : 'json'
}

function progressOf(
  asked: string,
  { isTerminal, isQuiet }: { isTerminal: boolean; isQuiet: boolean },
): ProgressMode {
  if (asked === 'json' || asked === 'none' || asked === 'lines') return asked
  // Bars need a screen: a pipe gets no control characters, whoever asks for them.
  if (asked === 'bar') return isTerminal ? 'bar' : 'lines'
  if (isQuiet) return 'none'
  return isTerminal ? 'bar' : 'lines'
}

/** The conventions of NO_COLOR and CLICOLOR_FORCE; FORCE_COLOR is not ours and never wins over them. */
function isColoured({
  options,
  env,
  isScreen,
  agent,
}: Pick<SpeechFacts, 'options' | 'env'> & { isScreen: boolean; agent: string | null }): boolean {
  if (options.color === false || filled(env.NO_COLOR) !== null || agent !== null || env.TERM === 'dumb')
    return false
  const forced = filled(env.CLICOLOR_FORCE)
  if (forced !== null && forced !== '0') return true
  return isScreen && env.CLICOLOR !== '0'
}

function logLevelOf({ isDebug, env }: { isDebug: boolean; env: NodeJS.ProcessEnv }): LogLevel | null {
  if (isDebug) return 'debug'
  const named = filled(env.DW_LOG)
  if (named === null) return filled(env.DW_LOG_FILE) === null ? null : 'info'
  const level = logLevels.find((one) => one === named.toLowerCase())
  if (level !== undefined) return level
  throw usageError(`DW_LOG '${named}' is no level.`, `It takes ${logLevels.join(', ')}.`)
}

function pagerOf(env: NodeJS.ProcessEnv): string | null {
  const named = env.DW_PAGER ?? env.PAGER ?? ''
  return named.trim() === '' || named.trim() === 'cat' ? null : named
}

function fieldsOf(value: unknown): string[] | null {
  const text = textOf(value)
  if (text === null) return null
  const fields = text.split(',').map((field) => field.trim())
  if (fields.some((field) => field === ''))
    throw usageError(`--fields '${text}' holds an empty name.`, 'Write --fields id,status')
  return fields
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function filled(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value
}
