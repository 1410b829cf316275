/**
 * Finds where members of a request line lie, without building anything. The text is Latin-1 decoded bytes, so that a place in the
 * string is a byte offset. The grammar was checked by `JSON.parse` before; these functions only have to agree with it.
 */

/** Places from the start of the text; `…Start` is -1 when the member is absent. Of a repeated key the last one counts, as in `JSON.parse`. */
export type RequestSpans = {
  customIdStart: number
  customIdEnd: number
  bodyStart: number
  bodyEnd: number
  /** Members of a body that is an object. */
  modelStart: number
  modelEnd: number
  toolsStart: number
  toolsEnd: number
  /** Deepest nesting of arrays and objects; the line's own object is 1. */
  depth: number
}

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const SPACE = 0x20

/**
 * @param text valid JSON whose outermost value is an object
 * @param hasUnicodeEscapes whether `\\u` occurs in it: no other escape can spell the name of a member
 */
export function findSpans(text: string, hasUnicodeEscapes: boolean): RequestSpans {
  const spans: RequestSpans = {
    customIdStart: -1,
    customIdEnd: -1,
    bodyStart: -1,
    bodyEnd: -1,
    modelStart: -1,
    modelEnd: -1,
    toolsStart: -1,
    toolsEnd: -1,
    depth: 1,
  }
  let at = skipSpace(text, 0) + 1
  for (;;) {
    const keyStart = skipSpace(text, at)
    if (text.charCodeAt(keyStart) !== QUOTE) break
    const keyEnd = stringEnd(text, keyStart)
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1)
    let valueEnd: number
    const name = nameOf(text, keyStart, keyEnd, hasUnicodeEscapes)
    if (name === 'body') {
      valueEnd = scanBody(text, valueStart, spans, hasUnicodeEscapes)
    } else {
      valueEnd = skipValue(text, valueStart, 1, spans)
      if (name === 'custom_id') {
        spans.customIdStart = valueStart
        spans.customIdEnd = valueEnd
      }
    }
    at = skipSpace(text, valueEnd) + 1
    if (text.charCodeAt(at - 1) !== COMMA) break
  }
  return spans
}

/** @returns the place after the body's value */
function scanBody(text: string, start: number, spans: RequestSpans, hasUnicodeEscapes: boolean): number {
  spans.bodyStart = start
  spans.modelStart = -1
  spans.toolsStart = -1
  if (text.charCodeAt(start) !== OPEN_BRACE) {
    spans.bodyEnd = skipValue(text, start, 1, spans)
    return spans.bodyEnd
  }
  spans.depth = Math.max(spans.depth, 2)
  let at = start + 1
  for (;;) {
    const keyStart = skipSpace(text, at)
    if (text.charCodeAt(keyStart) !== QUOTE) {
      at = keyStart + 1
      break
    }
    const keyEnd = stringEnd(text, keyStart)
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const valueEnd = skipValue(text, valueStart, 2, spans)
    const name = nameOf(text, keyStart, keyEnd, hasUnicodeEscapes)
    if (name === 'model') {
      spans.modelStart = valueStart
      spans.modelEnd = valueEnd
    } else if (name === 'tools') {
      spans.toolsStart = valueStart
      spans.toolsEnd = valueEnd
    }
    at = skipSpace(text, valueEnd) + 1
    if (text.charCodeAt(at - 1) !== COMMA) break
  }
  spans.bodyEnd = at
  return at
}

const names = ['body', 'model', 'tools', 'custom_id'] as const

/** Which of the looked-for names the string token between the places spells; null for any other. */
function nameOf(
  text: string,
  start: number,
  end: number,
  hasUnicodeEscapes: boolean,
): (typeof names)[number] | null {
  const length = end - start - 2
  for (const name of names) if (name.length === length && text.startsWith(name, start + 1)) return name
  if (!hasUnicodeEscapes) return null
  const token = text.slice(start, end)
  if (!token.includes('\\u')) return null
  const spelt: unknown = JSON.parse(token)
  return names.find((name) => name === spelt) ?? null
}

/** @returns the place after the value that begins at `start`, which lies `outerDepth` levels deep */
export function skipValue(text: string, start: number, outerDepth: number, spans: { depth: number }): number {
  const first = text.charCodeAt(start)
  if (first === QUOTE) return stringEnd(text, start)
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return scalarEnd(text, start)
  let depth = outerDepth
  let at = start
  do {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = stringEnd(text, at)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1
      if (depth > spans.depth) spans.depth = depth
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1
    }
    at += 1
  } while (depth > outerDepth)
  return at
}

/** @returns the place after the closing quote of the string token that begins at `start` */
export function stringEnd(text: string, start: number): number {
  let at = text.indexOf('"', start + 1)
  // Runs of backslashes before two quotes never overlap, so this stays linear.
  while (text.charCodeAt(at - 1) === BACKSLASH && isEscaped(text, at)) at = text.indexOf('"', at + 1)
  return at === -1 ? text.length : at + 1
}

function isEscaped(text: string, at: number): boolean {
  let backslash = at - 1
  while (text.charCodeAt(backslash) === BACKSLASH) backslash -= 1
  return (at - backslash) % 2 === 0
}

function scalarEnd(text: string, start: number): number {
  let at = start
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= SPACE) break
  }
  return at
}

export function skipSpace(text: string, start: number): number {
  let at = start
  while (text.charCodeAt(at) <= SPACE) at += 1
  return at
}

/**
 * Depth and number of values of a text that may not be JSON at all, to refuse what would take far more memory than its bytes
 * before it is parsed.
 */
export function weighJson(text: string): { depth: number; values: number } {
  let depth = 0
  let deepest = 0
  let values = 1
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = stringEnd(text, at) - 1
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1
      values += 1
      if (depth > deepest) deepest = depth
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1
    } else if (code === COMMA) {
      values += 1
    }
  }
  return { depth: deepest, values }
}
