/**
 * TOML as text that people write: where a value stands, and how one is changed with the comments kept. The parser is the judge: an edit
 * that does not read back as what was wanted is not made by lines.
 */
import { isDeepStrictEqual } from 'node:util'
import { parse, stringify, type TomlTable } from 'smol-toml'

type Line = {
  text: string
  /** A header names a table, a value a key within it; anything else is left as it is. */
  kind: 'header' | 'value' | 'other'
  /** Of the table, or of the value with its key last. */
  path: readonly string[]
}

/** Line of a value, from 1; null where it is written in a way that lines do not tell. */
export function lineNumberOf(text: string, path: readonly string[]): number | null {
  const wanted = valueAt(parse(text), path)
  const place = linesOf(text).findIndex(
    (line) =>
      line.kind === 'value' &&
      isDeepStrictEqual(line.path, path) &&
      isDeepStrictEqual(valueAt(parse(line.text), path.slice(-1)), wanted),
  )
  return place < 0 ? null : place + 1
}

/**
 * The text with its tables and values made those that are wanted.
 * @param options.renamed a table that keeps its comments under another name
 * @returns areCommentsKept: false when the file was written anew, because its form is not one value a line
 */
export function editToml(
  text: string,
  wanted: TomlTable,
  options: { renamed?: { from: readonly string[]; to: readonly string[] } } = {},
): { text: string; areCommentsKept: boolean } {
  const edited = editLines(text, wanted, options.renamed)
  if (reads(edited, wanted)) return { text: edited, areCommentsKept: true }
  return { text: stringify(wanted), areCommentsKept: !text.includes('#') }
}

function reads(text: string, wanted: TomlTable): boolean {
  try {
    return isDeepStrictEqual(plain(parse(text)), plain(wanted))
  } catch {
    // An edit that spoilt the form is given up.
    return false
  }
}

/** Without the parser's own prototypes, which comparison would see. */
function plain(table: TomlTable): unknown {
  return JSON.parse(JSON.stringify(table))
}

function editLines(
  text: string,
  wanted: TomlTable,
  renamed: { from: readonly string[]; to: readonly string[] } | undefined,
): string {
  const lines = linesOf(text).map((line) => renamedLine(line, renamed))
  const leaves = new Map(leavesOf(wanted, []).map((leaf) => [JSON.stringify(leaf.path), leaf]))
  const tables = new Set(tablesOf(wanted, []).map((path) => JSON.stringify(path)))
  const kept: Line[] = []
  for (const line of lines) {
    const name = JSON.stringify(line.path)
    if (line.kind === 'header' && !tables.has(name)) continue
    const leaf = line.kind === 'value' ? leaves.get(name) : undefined
    if (line.kind === 'value' && leaf === undefined) continue
    if (leaf === undefined) kept.push(line)
    else {
      leaves.delete(name)
      kept.push({ ...line, text: withValue(line, leaf.value) })
    }
  }
  for (const leaf of leaves.values()) insert(kept, leaf)
  const joined = kept.map((line) => line.text).join('\n')
  return joined === '' || joined.endsWith('\n') ? joined : `${joined}\n`
}

function renamedLine(
  line: Line,
  renamed: { from: readonly string[]; to: readonly string[] } | undefined,
): Line {
  if (renamed === undefined || !isDeepStrictEqual(line.path.slice(0, renamed.from.length), renamed.from))
    return line
  const path = [...renamed.to, ...line.path.slice(renamed.from.length)]
  return { ...line, path, text: line.kind === 'header' ? headerText(path) : line.text }
}

/** Behind the last value of its table, else behind the header; a new table stands at the end. */
function insert(lines: Line[], { path, value }: Leaf): void {
  const table = path.slice(0, -1)
  const isOfTable = (line: Line): boolean =>
    (line.kind === 'header' && isDeepStrictEqual(line.path, table)) ||
    (line.kind === 'value' && isDeepStrictEqual(line.path.slice(0, -1), table))
  const last = lines.findLastIndex(isOfTable)
  const line: Line = { text: assignment(path, value), kind: 'value', path }
  if (last >= 0) lines.splice(last + 1, 0, line)
  else if (table.length === 0) lines.unshift(line)
  else {
    if (lines.at(-1)?.text === '') lines.pop()
    if (lines.length > 0) lines.push({ text: '', kind: 'other', path: [] })
    lines.push({ text: headerText(table), kind: 'header', path: table }, line)
  }
}

function withValue(line: Line, value: unknown): string {
  const current = valueAt(parse(line.text), line.path.slice(-1))
  if (isDeepStrictEqual(current, value)) return line.text
  const comment = commentOf(line, current)
  return comment === '' ? assignment(line.path, value) : `${assignment(line.path, value)} ${comment}`
}

/** What stands behind the value: from the first `#` before which the line says the same. */
function commentOf(line: Line, value: unknown): string {
  for (let at = line.text.indexOf('#'); at >= 0; at = line.text.indexOf('#', at + 1)) {
    const before = parsed(line.text.slice(0, at))
    if (before !== null && isDeepStrictEqual(valueAt(before, line.path.slice(-1)), value))
      return line.text.slice(at)
  }
  return ''
}

function assignment(path: readonly string[], value: unknown): string {
  return stringify({ [path.at(-1) ?? '']: value }).trimEnd()
}

function headerText(path: readonly string[]): string {
  return `[${path.map((name) => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name))).join('.')}]`
}

function linesOf(text: string): Line[] {
  let table: readonly string[] = []
  return text.split('\n').map((line): Line => {
    const content = parsed(line)
    const path = content === null ? [] : pathOf(content)
    if (path.length === 0) return { text: line, kind: 'other', path: [] }
    if (!line.trimStart().startsWith('[')) return { text: line, kind: 'value', path: [...table, ...path] }
    table = path
    return { text: line, kind: 'header', path }
  })
}

function parsed(text: string): TomlTable | null {
  try {
    return parse(text)
  } catch {
    // No line of its own: a part of a value over several lines, or a mistake that the whole file is judged by.
    return null
  }
}

/** The names that lead down to the one thing a line holds. */
function pathOf(table: TomlTable): string[] {
  const [entry, ...others] = Object.entries(table)
  if (entry === undefined || others.length > 0) return []
  const [name, value] = entry
  return isTable(value) ? [name, ...pathOf(value)] : [name]
}

type Leaf = { path: readonly string[]; value: unknown }

function leavesOf(table: TomlTable, path: readonly string[]): Leaf[] {
  return Object.entries(table).flatMap(([name, value]) =>
    isTable(value) ? leavesOf(value, [...path, name]) : [{ path: [...path, name], value }],
  )
}

function tablesOf(table: TomlTable, path: readonly string[]): (readonly string[])[] {
  return Object.entries(table).flatMap(([name, value]) =>
    isTable(value) ? [[...path, name], ...tablesOf(value, [...path, name])] : [],
  )
}

function isTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

function valueAt(table: TomlTable, path: readonly string[]): unknown {
  let value: unknown = table
  for (const name of path) value = isTable(value) ? value[name] : undefined
  return value
}
