/**
 * What a line of a result file says went wrong, and which failures are of one kind: same status, same code, and a message that differs
 * only in numbers, ids, quoted text or addresses. Used by the command line and by the server, so that a group named by one is found by
 * the other. Pure.
 */
import { hash } from 'node:crypto'

export type Failure = {
  /** HTTP status of the answer; null where there was none. */
  status: number | null
  /** As the engine or the server named it; null where it did not. */
  code: string | null
  message: string
}

/** Guess: messages that agree this far are the same. Engines echo whole prompts into theirs. */
export const FAILURE_MESSAGE_CHARACTERS_MAX = 400
/** Guess: 40 bits tell apart the few hundred kinds of one batch, and can be typed. */
const GROUP_ID_CHARACTERS = 10
export const GROUP_ID_PATTERN = /^[0-9a-f]{10}$/

/** What failures of one group have in common. */
export function groupKeyOf({ status, code, message }: Failure): string {
  return `${status ?? ''}\n${code ?? ''}\n${normalMessage(message)}`
}

/** Short, and the same in every run and on every machine. Part of what people and scripts write down. */
export function groupIdOf(groupKey: string): string {
  return hash('sha256', groupKey, 'hex').slice(0, GROUP_ID_CHARACTERS)
}

/** Names any number of groups, given in one order and each once: a single one is its own name. */
export function selectionIdOf(groups: readonly string[]): string {
  return groups.length === 1 ? (groups[0] ?? '') : groupIdOf(groups.join('\n'))
}

export type FailureMatcher = {
  test(failure: Failure | null): boolean
  /** Groups of which no failure was met so far. */
  unmet(): string[]
}

/** Guess: a batch has a few hundred kinds at most; more are hashed again. */
const KEYS_KNOWN_MAX = 10_000

/** Finds the failures of some groups. */
export function createFailureMatcher(groups: readonly string[]): FailureMatcher {
  const wanted = new Set(groups)
  const met = new Set<string>()
  const idsByKey = new Map<string, string>()
  return {
    test(failure) {
      if (failure === null) return false
      const key = groupKeyOf(failure)
      const id = idsByKey.get(key) ?? groupIdOf(key)
      if (idsByKey.size < KEYS_KNOWN_MAX) idsByKey.set(key, id)
      if (!wanted.has(id)) return false
      met.add(id)
      return true
    },
    unmet: () => [...wanted].filter((id) => !met.has(id)),
  }
}

const replacements: readonly [RegExp, string][] = [
  [/\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'`<>)\]]+/gi, '<url>'],
  [/"[^"]*"|`[^`]*`|“[^”]*”|(?<![\p{L}\p{N}])'[^']*'(?![\p{L}\p{N}])/gu, '<text>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>'],
  // A word of letters and digits mixed, as ids are: req_8f3k2, chatcmpl-9XYZ12, 0xdeadbeef.
  [/\b(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{6,}\b/gi, '<id>'],
  // Hexadecimal digits that happen to be letters alone.
  [/\b(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b/gi, '<id>'],
  [/\d+(?:[.,:]\d+)*/g, '<n>'],
]
/** Of a message that was cut, a quotation may have lost its end. */
const OPEN_QUOTE = /["`“][^"`”]*$|(?<![\p{L}\p{N}])'[^']*$/u

/** The message without what differs from request to request. */
export function normalMessage(message: string): string {
  let text = oneLine(message.slice(0, FAILURE_MESSAGE_CHARACTERS_MAX))
  for (const [pattern, replacement] of replacements) text = text.replace(pattern, replacement)
  return message.length > FAILURE_MESSAGE_CHARACTERS_MAX ? text.replace(OPEN_QUOTE, '<text>') : text
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}

/**
 * Reads one line of an error file: an engine's refusal, or an error without an answer.
 * @returns null when the line is neither
 */
export function failureOf(line: string): Failure | null {
  let row: unknown
  try {
    row = JSON.parse(line)
  } catch {
    // Whatever else may stand in a foreign server's file, it names no failure.
    return null
  }
  return isRecord(row) ? failureOfRow(row) : null
}

/** The same of a line that was read already. */
export function failureOfRow({ error, response }: Readonly<Record<string, unknown>>): Failure | null {
  if (isRecord(error)) return { status: null, ...described(error) }
  if (!isRecord(response)) return null
  const { status_code, body } = response
  const status = typeof status_code === 'number' ? status_code : null
  if (!isRecord(body)) return { status, code: null, message: typeof body === 'string' ? body : '' }
  return { status, ...described(isRecord(body.error) ? body.error : body) }
}

function described(error: Record<string, unknown>): Pick<Failure, 'code' | 'message'> {
  const code = error.code ?? error.type
  const message = error.message ?? error.detail
  return {
    // Some engines repeat the status as a number here.
    code: typeof code === 'string' && code !== '' ? oneLine(code) : null,
    message: typeof message === 'string' ? message : message === undefined ? '' : JSON.stringify(message),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
