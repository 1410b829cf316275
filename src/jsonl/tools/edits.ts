/** What `--set path=json` means, and what it does to a line. */
import { RefusedError } from '../../lib/errors.ts'
import { findPath, latin1Of, setPath } from './splice.ts'

export type Edit = {
  path: readonly string[]
  /** JSON of the value, as Latin-1. */
  token: string
  /** Only where the line has no value there. */
  isDefault: boolean
}

const ROOTS: ReadonlySet<string> = new Set(['custom_id', 'method', 'url', 'body'])
/** What was meant as JSON but is not: it is refused instead of being taken as text. */
const ALMOST_JSON = /^[[{"]|^[-+]?[\d.]+(e[-+]?\d*)?$|^[-+]?(nan|inf|infinity)$|^(true|false|null)$/i

/**
 * @param text `path=json`. Dots separate the names of the path, `\.` is a dot in a name, numbers are items of arrays. What is no JSON
 * is taken as text.
 * @throws RefusedError `bad_set`
 */
export function parseEdit(text: string, isDefault: boolean): Edit {
  const option = isDefault ? '--default' : '--set'
  const equals = text.indexOf('=')
  if (equals < 1) throw badSet(`${option} takes path=json, for example body.temperature=0.2, not '${text}'.`)
  const path = parsePath(text.slice(0, equals))
  const [root] = path
  if (path.includes('')) throw badSet(`${option} ${text}: the path has an empty name.`)
  if (root === undefined || !ROOTS.has(root)) {
    throw badSet(
      `${option} ${text}: a path begins with body, custom_id, method or url. Did you mean body.${path.join('.')}?`,
    )
  }
  return { path, token: tokenOf(text.slice(equals + 1), `${option} ${text}`), isDefault }
}

export function editOf(path: readonly string[], value: string | number): Edit {
  return { path, token: latin1Of(JSON.stringify(value)), isDefault: false }
}

/** @throws RefusedError `path_blocked` */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let edited = text
  for (const { path, token, isDefault } of edits) {
    if (!isDefault || findPath(edited, path) === null) edited = setPath(edited, path, token)
  }
  return edited
}

function parsePath(text: string): string[] {
  const names = ['']
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? ''
    if (character === '.') names.push('')
    else {
      if (character === '\\') at += 1
      names[names.length - 1] += character === '\\' ? (text[at] ?? '') : character
    }
  }
  return names
}

/** The JSON exactly as it was written: no number changes its digits. */
function tokenOf(text: string, where: string): string {
  try {
    JSON.parse(text)
    // Line breaks stand between tokens only; a string cannot hold one as it is.
    return latin1Of(text.trim().replaceAll(/[\r\n]/g, ' '))
  } catch {
    if (ALMOST_JSON.test(text)) {
      const hint = `Text is written as '${JSON.stringify(text)}'.`
      throw badSet(`${where}: the value looks like JSON but is none. ${hint}`)
    }
    return latin1Of(JSON.stringify(text))
  }
}

function badSet(message: string): RefusedError {
  return new RefusedError('bad_set', message)
}
