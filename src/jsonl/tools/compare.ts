/** Whether two lines say the same, whatever the order of their members and the spelling of their strings. Pure. */
import { isObject, type JsonObject } from '../prompt-bytes.ts'

/** Differ between any two answers and say nothing about them. `--all` compares them too. */
export const VOLATILE_PATHS: readonly string[] = [
  'id',
  'response.request_id',
  'response.body.id',
  'response.body.created',
  'response.body.created_at',
  'response.body.completed_at',
  'response.body.system_fingerprint',
  'response.body.service_tier',
  'response.body.usage',
]

/** Guess: paths of one pair that a person reads. */
const PATHS_MAX = 20

/**
 * @param ignored dotted paths; `*` stands for any one name or item
 * @returns paths at which the two differ, the first few; empty when they say the same
 */
export function differingPaths(left: JsonObject, right: JsonObject, ignored: readonly string[]): string[] {
  const ignoredNames = ignored.map((path) => path.split('.'))
  const found: string[] = []
  const isIgnored = (path: readonly string[]): boolean =>
    ignoredNames.some(
      (names) =>
        names.length === path.length && names.every((name, place) => name === '*' || name === path[place]),
    )
  const visit = (a: unknown, b: unknown, path: readonly string[]): void => {
    if (found.length >= PATHS_MAX || Object.is(a, b) || isIgnored(path)) return
    if (Array.isArray(a) && Array.isArray(b)) {
      for (let item = 0; item < Math.max(a.length, b.length); item += 1)
        visit(a[item], b[item], [...path, String(item)])
    } else if (isObject(a) && isObject(b)) {
      for (const name of new Set([...Object.keys(a), ...Object.keys(b)]))
        visit(a[name], b[name], [...path, name])
    } else found.push(path.join('.'))
  }
  visit(left, right, [])
  return found
}

/** Digits that a double keeps whatever they are. */
const EXACT_DIGITS_MAX = 15
/** Whoever has no such run has no number of more digits. */
const MANY_DIGITS = /[\d.]{16}/

/**
 * As `JSON.parse`, but a number with more digits than a double keeps becomes a symbol of its text: two different big integers stay
 * different, and equal ones are one symbol.
 */
export function parseExactly(text: string): unknown {
  if (!MANY_DIGITS.test(text)) return JSON.parse(text)
  return parseWithSource(text, (_key, value, context) => {
    if (typeof value !== 'number' || context?.source === undefined) return value
    const digits = context.source.replace(/e.*$/i, '').replaceAll(/\D/g, '')
    return digits.length > EXACT_DIGITS_MAX ? Symbol.for(context.source) : value
  })
}

type SourceReviver = (key: string, value: unknown, context?: { source?: string }) => unknown

// The runtime passes the source of primitive values as a third argument; the library's types do not know it yet.
const parseWithSource = JSON.parse as (text: string, reviver: SourceReviver) => unknown
