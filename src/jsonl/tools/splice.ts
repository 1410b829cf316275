/**
 * Finds and replaces values in the text of a JSON line; every other byte stays as it is, so that big integers, spellings and the
 * order of members survive. Text is Latin-1 decoded bytes of valid JSON, as in `json-spans.ts`.
 */
import { RefusedError } from '../../lib/errors.ts'
import { skipSpace, skipValue, stringEnd } from '../json-spans.ts'

export type Span = { start: number; end: number }

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const ITEM_NUMBER = /^(0|[1-9]\d{0,8})$/

/** Depth is not asked for. */
const anyDepth = { depth: 0 }

/** Text as the bytes of its UTF-8, one character each. */
export function latin1Of(text: string): string {
  return Buffer.from(text).toString('latin1')
}

export function utf8Of(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString()
}

/** @returns where the value at the path lies, or null when there is none */
export function findPath(text: string, path: readonly string[]): Span | null {
  let at = skipSpace(text, 0)
  let found: Span | null = null
  for (const segment of path) {
    found = childOf(text, at, segment)
    if (found === null) return null
    at = found.start
  }
  return found
}

/**
 * @param token JSON of the new value, as Latin-1
 * @returns the text with the value at the path; objects that are not there yet are made
 * @throws RefusedError `path_blocked` when something else than an object or an item of an array stands in the way
 */
export function setPath(text: string, path: readonly string[], token: string): string {
  let at = skipSpace(text, 0)
  for (const [place, segment] of path.entries()) {
    const found = childOf(text, at, segment)
    const rest = path.slice(place + 1)
    if (found === null) return insertChild(text, at, { path, place, token: nested(path, place, token) })
    const isNull = text.startsWith('null', found.start)
    if (rest.length === 0 || isNull)
      return text.slice(0, found.start) + nested(path, place, token) + text.slice(found.end)
    at = found.start
  }
  return text
}

/** @param start of the container's value */
function childOf(text: string, start: number, segment: string): Span | null {
  const first = text.charCodeAt(start)
  if (first === OPEN_BRACE) return scanObject(text, start, segment).found
  if (first === OPEN_BRACKET && ITEM_NUMBER.test(segment))
    return scanArray(text, start, Number(segment)).found
  return null
}

function insertChild(
  text: string,
  start: number,
  child: { path: readonly string[]; place: number; token: string },
): string {
  const segment = child.path[child.place] ?? ''
  const first = text.charCodeAt(start)
  const where = child.path.slice(0, child.place).join('.') || 'the line'
  if (first === OPEN_BRACE) {
    const { insertAt, isEmpty } = scanObject(text, start, segment)
    const member = `${isEmpty ? '' : ','}${latin1Of(JSON.stringify(segment))}:${child.token}`
    return text.slice(0, insertAt) + member + text.slice(insertAt)
  }
  if (first !== OPEN_BRACKET)
    throw blocked(`${where} is no object, so ${child.path.join('.')} cannot be set.`)
  if (!ITEM_NUMBER.test(segment)) throw blocked(`${where} is an array; '${segment}' is no number of an item.`)
  const { insertAt, items } = scanArray(text, start, Number(segment))
  if (Number(segment) !== items)
    throw blocked(`${where} has ${items} items, so item ${segment} cannot be set.`)
  return `${text.slice(0, insertAt)}${items === 0 ? '' : ','}${child.token}${text.slice(insertAt)}`
}

/** JSON of what belongs at `path[place]`: the token inside the objects that the rest of the path names. */
function nested(path: readonly string[], place: number, token: string): string {
  return path.slice(place + 1).reduceRight((inner, segment, index) => {
    if (!ITEM_NUMBER.test(segment)) return `{${latin1Of(JSON.stringify(segment))}:${inner}}`
    const where = path.slice(0, place + 1 + index).join('.')
    throw blocked(`${where} is not there, and whether item ${segment} makes it an array is not known.`)
  }, token)
}

function blocked(message: string): RefusedError {
  return new RefusedError('path_blocked', message)
}

type Scanned = {
  /** Of a repeated name the last one, as in `JSON.parse`. */
  found: Span | null
  insertAt: number
}

function scanObject(text: string, start: number, name: string): Scanned & { isEmpty: boolean } {
  const token = latin1Of(JSON.stringify(name))
  let found: Span | null = null
  let insertAt = start + 1
  let at = skipSpace(text, start + 1)
  if (text.charCodeAt(at) === CLOSE_BRACE) return { found, insertAt, isEmpty: true }
  for (;;) {
    const keyEnd = stringEnd(text, at)
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1)
    insertAt = skipValue(text, valueStart, 0, anyDepth)
    if (isName(text, { start: at, end: keyEnd }, { name, token }))
      found = { start: valueStart, end: insertAt }
    const next = skipSpace(text, insertAt)
    if (text.charCodeAt(next) !== COMMA) return { found, insertAt, isEmpty: false }
    at = skipSpace(text, next + 1)
  }
}

function scanArray(text: string, start: number, item: number): Scanned & { items: number } {
  let found: Span | null = null
  let insertAt = start + 1
  let at = skipSpace(text, start + 1)
  if (text.charCodeAt(at) === CLOSE_BRACKET) return { found, insertAt, items: 0 }
  for (let items = 1; ; items += 1) {
    insertAt = skipValue(text, at, 0, anyDepth)
    if (items - 1 === item) found = { start: at, end: insertAt }
    const next = skipSpace(text, insertAt)
    if (text.charCodeAt(next) !== COMMA) return { found, insertAt, items }
    at = skipSpace(text, next + 1)
  }
}

function isName(text: string, key: Span, wanted: { name: string; token: string }): boolean {
  if (key.end - key.start === wanted.token.length && text.startsWith(wanted.token, key.start)) return true
  const token = text.slice(key.start, key.end)
  return token.includes('\\') && JSON.parse(utf8Of(token)) === wanted.name
}

/**
 * Strings that name an image inside the value: members `image_url` that are a string, or an object with a string `url`.
 * @returns spans of the string tokens, in order
 */
export function findImageTokens(text: string, within: Span): Span[] {
  const found: Span[] = []
  let at = within.start
  while (at < within.end) {
    if (text.charCodeAt(at) !== QUOTE) {
      at += 1
      continue
    }
    const end = stringEnd(text, at)
    const colon = skipSpace(text, end)
    if (text[colon] === ':' && text.slice(at, end) === '"image_url"') {
      const value = skipSpace(text, colon + 1)
      const url =
        text.charCodeAt(value) === OPEN_BRACE
          ? scanObject(text, value, 'url').found
          : { start: value, end: skipValue(text, value, 0, anyDepth) }
      if (url !== null && text.charCodeAt(url.start) === QUOTE) found.push(url)
    }
    at = end
  }
  return found
}
