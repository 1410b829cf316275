/** An error as people and as programs read it: what, why, what was meant, what to run next, and where it is explained. */
import { ApiError, UnreachableError } from '../client/errors.ts'
import { CliError, errorFacts, NearestError, type NextCommand } from './cli-error.ts'
import { commands } from './commands.ts'
import { docsOfError, knownError } from './error-codes.ts'
import { formatNumber, oneLine, shellWord } from './format.ts'
import { targetWords } from './pasteable.ts'

export type ErrorReport = {
  code: string
  message: string
  hint: string | null
  isRetryable: boolean
  requestId: string | null
  status: number | null
  next: readonly NextCommand[]
  docs: string
  exitCode: number
}

/** @param words as they were typed @param path the words of the command that was chosen; null where it came to none */
export function errorReport(
  thrown: unknown,
  { words, path }: { words: readonly string[]; path: readonly string[] | null },
): ErrorReport {
  const { code, message, hint: given, requestId, status, exitCode } = errorFacts(thrown)
  const known = knownError(code, status)
  // The fix of a wrong word is as general as the code; the help of the command says more.
  const hint = given ?? (code === 'usage' ? null : known.fix)
  const found = [
    ...(thrown instanceof CliError ? thrown.next : []),
    ...nextOf(thrown),
    ...commandsIn(hint ?? '').map((command) => ({ command, why: whyOf(command) })),
    ...(code === 'usage' && path !== null ? [helpOf(path)] : []),
  ]
  const isRetryable = known.isRetryable === true
  if (isRetryable) found.push(...again(words))
  const seen = new Set<string>()
  const next = found
    .map(({ command, why }) => ({ command: withTarget(command, words), why: oneLine(why) }))
    .filter(({ command }) => !seen.has(command) && seen.add(command))
  return {
    code,
    message,
    hint,
    isRetryable,
    requestId,
    status,
    next,
    docs: docsOfError(known.page),
    exitCode,
  }
}

/** At most five lines. */
export function reportLines(report: ErrorReport): string[] {
  const lines = [`error[${report.code}]: ${oneLine(report.message)}`]
  const hint = oneLine(report.hint ?? '')
  const meant = MEANT.exec(hint)?.[1] ?? null
  const [first] = report.next
  const isSaid = meant !== null || hint === '' || /^See: dw [^`]*$/.test(hint) || hint === first?.command
  if (!isSaid) lines.push(`  ${hint}`)
  if (meant !== null) lines.push(`  did you mean: ${meant}`)
  if (first !== undefined && first.command !== meant) lines.push(`  try: ${first.command}`)
  const request = report.requestId === null ? '' : `request id ${report.requestId}  `
  lines.push(`  ${request}docs ${report.docs}`)
  return lines
}

/** The object that stands on one line of standard error. */
export function reportJson(report: ErrorReport) {
  const { code, message, hint, isRetryable, requestId, status, next, docs } = report
  return { error: { code, message, hint, retryable: isRetryable, request_id: requestId, status, next, docs } }
}

/** Many failures of one kind in one line each kind: how many, the first of them, and what it said. */
export function groupedTroubles(
  troubles: readonly { name: string; code: string; message: string }[],
): string[] {
  const groups = new Map<string, { first: string; count: number; what: string }>()
  for (const { name, code, message } of troubles) {
    const what = `error[${code}]: ${oneLine(message)}`
    // The name of the thing stands in most messages; without it they are one kind.
    const key = what.replaceAll(name, '')
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { first: name, count: 1, what })
    else group.count += 1
  }
  return [...groups.values()].map(({ first, count, what }) =>
    count === 1 ? `${first}: ${what}` : `${first} and ${formatNumber(count - 1, 'other')}: ${what}`,
  )
}

const MEANT = /^Did you mean:? (.+?)\??$/

/** Commands that a hint names: in backticks, or at its end behind a colon. */
function commandsIn(hint: string): string[] {
  const quoted = [...hint.matchAll(/`(dw [^`]+)`/g)].map((match) => match[1] ?? '')
  const last = /(?:^|: )(dw [^`]+)$/.exec(hint)?.[1]
  return [...quoted, ...(last === undefined ? [] : [last])].filter(isRunnable)
}

/** Without a place that waits for a word of the reader: `URL`, `ID`, `FILE`, `…`. */
function isRunnable(command: string): boolean {
  return !command.split(' ').some((word) => /^[A-Z][A-Z_]*$|^<|…/.test(word))
}

/** What the command is for, in the words of its help. */
function whyOf(command: string): string {
  const words = command.split(' ').slice(1)
  return commands.find(({ path }) => path.every((word, place) => word === words[place]))?.summary ?? ''
}

const SHOW_ADDRESS = {
  command: 'dw config show',
  why: 'tells which address is used, and where it comes from',
}

function nextOf(thrown: unknown): NextCommand[] {
  if (thrown instanceof NearestError) return nextOf(thrown.cause)
  if (thrown instanceof UnreachableError)
    // Nothing listens on this machine: a server is missing. Elsewhere the address may be wrong.
    return thrown.code === 'unreachable' && isLoopback(thrown.baseUrl)
      ? [{ command: 'dw serve', why: whyOf('dw serve') }, SHOW_ADDRESS]
      : [SHOW_ADDRESS]
  if (!(thrown instanceof ApiError)) return []
  const { status, url } = thrown
  const where = url !== null && URL.canParse(url) ? new URL(url) : null
  if (status === 401 || status === 403) {
    const login = where === null ? [] : [`dw login ${shellWord(where.origin)}`]
    return [
      ...login.map((command) => ({ command, why: 'stores a key for this server' })),
      { command: 'dw config show', why: 'tells which server and which key are used' },
    ]
  }
  if (status !== 404) return []
  if (thrown.code === 'model_not_found')
    return [{ command: 'dw models list', why: 'shows the models there are' }]
  const noun = /\/(batches|files)\b/.exec(where?.pathname ?? '')?.[1] ?? 'batches'
  return [{ command: `dw ${noun} list`, why: `shows the ${noun} there are` }]
}

function isLoopback(url: string): boolean {
  return URL.canParse(url) && /^(localhost|127\..*|\[::1\])$/.test(new URL(url).hostname)
}

function helpOf(path: readonly string[]): NextCommand {
  return { command: ['dw', ...path, '--help'].join(' '), why: 'shows what the command takes' }
}

/** Guess: nobody wants to read a longer command again. */
const AGAIN_CHARACTERS_MAX = 200

/** Commands that make something each time: after a lost answer it may be there already. */
const MAKES = /^dw (batches (run|create|retry)|keys create|stream|realtime|ask)\b/

/** The same command, unless it may hold a secret, or do a second time what was done. */
function again(words: readonly string[]): NextCommand[] {
  const command = ['dw', ...words].map(shellWord).join(' ')
  const isTold = words.length > 0 && command.length <= AGAIN_CHARACTERS_MAX && !MAKES.test(command)
  const isSecret = words.some((word) =>
    /^--?[\w-]*(key|token|secret|password)|\bsk-|\bdw_[a-z0-9]{8}/i.test(word),
  )
  return isTold && !isSecret ? [{ command, why: 'the same again: it may succeed later' }] : []
}

/** First words of commands that ask no server, or name one. */
const LOCAL =
  /^dw (serve|help|schema|login|logout|account|completion)\b|--help\b|--server\b|--profile\b|--account\b/

function withTarget(command: string, words: readonly string[]): string {
  if (LOCAL.test(command)) return command
  return [command, ...targetWords(words).map(shellWord)].join(' ')
}
