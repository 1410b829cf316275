/**
 * Values on their way to PostgreSQL and back. Its texts cannot hold U+0000, which a person may well have written into a model's name
 * or a file's; it is stored as a sequence that begins with a character nobody uses, and that character as another one.
 */
import { BugError } from '../lib/errors.ts'
import type { Scalar } from './database.ts'

const ESCAPE = '\uE000'
const NUL = '\0'
const ESCAPED_NUL = `${ESCAPE}0`
const ESCAPED_ESCAPE = `${ESCAPE}1`

export function storedText(text: string): string {
  if (!text.includes(NUL) && !text.includes(ESCAPE)) return text
  return text.replaceAll(ESCAPE, ESCAPED_ESCAPE).replaceAll(NUL, ESCAPED_NUL)
}

export function textOfStored(stored: string): string {
  if (!stored.includes(ESCAPE)) return stored
  return stored.replaceAll(ESCAPED_NUL, NUL).replaceAll(ESCAPED_ESCAPE, ESCAPE)
}

// The numbers of PostgreSQL's built-in types, which never change.
const BOOL = 16
const INTEGERS: ReadonlySet<number> = new Set([20, 21, 23, 1700])

/** How the client library reads a column, by the number of its type. Instants, counts and sizes are integers that JavaScript holds. */
export function parserOf(type: number): (text: string) => Scalar {
  if (INTEGERS.has(type)) return integerOf
  return type === BOOL ? (text) => (text === 't' ? 1 : 0) : textOfStored
}

function integerOf(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new BugError(`not an integer that can be held exactly: ${text}`)
  return value
}
