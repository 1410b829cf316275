/** What went wrong, most frequent first: failures that differ only in numbers, ids, quoted text or addresses are one group. Pure. */
import { oneLine } from './format.ts'

export type Failure = { code: string; message: string }

export type FailureGroup = {
  code: string
  /** The first message of the group, as it came. */
  example: string
  count: number
}

export type FailureGroups = {
  add(failure: Failure): void
  /** Most frequent first, then as they came. */
  list(): FailureGroup[]
  /** Failures added, those of groups beyond the limit too. */
  total: number
}

/** Guess: a person reads a handful; the rest is bounded so that a file of unlike messages costs no memory. */
const GROUPS_MAX = 500
/** Guess: messages that agree this far are the same. Engines echo whole prompts into theirs. */
const MESSAGE_CHARACTERS_MAX = 400

export function createFailureGroups(): FailureGroups {
  const groups = new Map<string, FailureGroup>()
  return {
    total: 0,
    add({ code, message }) {
      this.total += 1
      const key = `${code}\n${normalMessage(message)}`
      const known = groups.get(key)
      if (known !== undefined) known.count += 1
      else if (groups.size < GROUPS_MAX)
        groups.set(key, { code, example: oneLine(message.slice(0, MESSAGE_CHARACTERS_MAX)), count: 1 })
    },
    list: () => [...groups.values()].sort((a, b) => b.count - a.count),
  }
}

const replacements: readonly [RegExp, string][] = [
  [/\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'`<>)\]]+/gi, '<url>'],
  [/"[^"]*"|`[^`]*`|“[^”]*”|(?<![\p{L}\p{N}])'[^']*'(?![\p{L}\p{N}])/gu, '<text>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>'],
  // A word of letters and digits mixed, as ids are: req_8f3k2, chatcmpl-9XYZ12, 0xdeadbeef.
  [/\b(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{6,}\b/gi, '<id>'],
  [/\d+(?:[.,:]\d+)*/g, '<n>'],
]

/** The message without what differs from request to request. */
export function normalMessage(message: string): string {
  let text = oneLine(message.slice(0, MESSAGE_CHARACTERS_MAX))
  for (const [pattern, replacement] of replacements) text = text.replace(pattern, replacement)
  return text
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
  if (!isRecord(row)) return null
  if (isRecord(row.error)) return failure(row.error, 'error')
  if (!isRecord(row.response)) return null
  const { status_code } = row.response
  const status = typeof status_code === 'number' ? String(status_code) : 'no status'
  const body = row.response.body
  if (!isRecord(body)) return { code: status, message: typeof body === 'string' ? body : '' }
  const { code, message } = isRecord(body.error) ? failure(body.error, status) : failure(body, status)
  return { code: code === status ? status : `${status} ${code}`, message }
}

function failure(error: Record<string, unknown>, codeElse: string): Failure {
  const code = error.code ?? error.type
  const message = error.message ?? error.detail
  return {
    code: typeof code === 'string' && code !== '' ? oneLine(code) : codeElse,
    message: typeof message === 'string' ? message : message === undefined ? '' : JSON.stringify(message),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
