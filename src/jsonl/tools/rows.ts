/** Reads a table, request data or plain text as rows that templates are filled from. Memory is a chunk and a row. */
import { RefusedError } from '../../lib/errors.ts'
import { type CsvRecord, createCsvReader, delimiterOf } from './csv.ts'
import { readLines } from './lines.ts'
import { type ParsedLine, parseLine, type ReportProblem } from './parse-line.ts'
import { findPath, utf8Of } from './splice.ts'

export type Row = {
  lineNumber: number
  /** null when the row has no such field. */
  fieldOf(name: string): string | null
}

export const ROW_FORMATS = ['csv', 'tsv', 'jsonl', 'txt'] as const
export type RowFormat = (typeof ROW_FORMATS)[number]

export type RowSource = {
  format: RowFormat
  /** Of a CSV; null: found in its first line. */
  delimiter: string | null
  /** Names that every row must have. @throws RefusedError `unknown_column` when a table has no such column */
  names: readonly string[]
  report: (lineNumber: number) => ReportProblem
}

/** Guess: a first line is no longer than this, where its separator is looked for. */
const HEAD_CHARACTERS_MAX = 64 * 1024

/** @throws RefusedError for what makes the whole source unusable; what is wrong with one row is reported */
export function readRows(source: AsyncIterable<Uint8Array>, options: RowSource): AsyncGenerator<Row[]> {
  switch (options.format) {
    case 'csv':
    case 'tsv':
      return tableRows(source, options)
    case 'jsonl':
      return objectRows(source, options)
    case 'txt':
      return textRows(source, options)
  }
}

async function* tableRows(
  source: AsyncIterable<Uint8Array>,
  { format, delimiter, names, report }: RowSource,
): AsyncGenerator<Row[]> {
  let columns: ReadonlyMap<string, number> | null = null
  const toRows = (records: readonly CsvRecord[]): Row[] => {
    let data = records
    if (columns === null && records[0] !== undefined) {
      columns = columnsOf(records[0].fields)
      requireColumns(columns, names)
      data = records.slice(1)
    }
    return data.flatMap((record) => tableRow(record, columns ?? new Map(), report))
  }
  let reader = delimiter === null && format === 'csv' ? null : createCsvReader(delimiter ?? '\t')
  let head = ''
  for await (const text of decode(source)) {
    if (reader !== null) yield toRows(reader.push(text))
    else {
      head += text
      if (head.length < HEAD_CHARACTERS_MAX) continue
      reader = createCsvReader(delimiterOf(head))
      yield toRows(reader.push(head))
    }
  }
  if (reader === null) {
    reader = createCsvReader(delimiterOf(head))
    yield toRows(reader.push(head))
  }
  yield toRows(reader.finish())
  if (columns === null)
    throw new RefusedError('invalid_input', 'The table has no first line with the names of its columns.')
}

function columnsOf(fields: readonly string[]): Map<string, number> {
  const columns = new Map<string, number>()
  for (const [place, field] of fields.entries()) {
    const name = field.trim()
    if (columns.has(name)) throw new RefusedError('invalid_input', `The table has two columns '${name}'.`)
    columns.set(name, place)
  }
  return columns
}

function requireColumns(columns: ReadonlyMap<string, number>, names: readonly string[]): void {
  const unknown = names.find((name) => !columns.has(name))
  if (unknown === undefined) return
  const known = [...columns.keys()].join(', ')
  throw new RefusedError('unknown_column', `There is no column '${unknown}'. The table has: ${known}.`)
}

function tableRow(
  { fields, lineNumber }: CsvRecord,
  columns: ReadonlyMap<string, number>,
  report: (lineNumber: number) => ReportProblem,
): Row[] {
  if (fields.length !== columns.size) {
    const message = `This row has ${fields.length} fields; the table has ${columns.size} columns.`
    report(lineNumber)({ code: 'field_count', message })
    return []
  }
  return [{ lineNumber, fieldOf: (name) => fields[columns.get(name) ?? -1] ?? null }]
}

async function* objectRows(source: AsyncIterable<Uint8Array>, { report }: RowSource): AsyncGenerator<Row[]> {
  for await (const lines of readLines(source)) {
    yield lines.flatMap((line) => {
      const parsed = parseLine(line, report(line.lineNumber))
      if (parsed === null) return []
      return [{ lineNumber: line.lineNumber, fieldOf: (name: string) => memberText(parsed, name) }]
    })
  }
}

/** Text as it reads; anything else as the JSON that it is, digit for digit. */
function memberText({ text, value }: ParsedLine, name: string): string | null {
  // A name with dots in it comes before a path.
  const span = findPath(text, [name]) ?? findPath(text, name.split('.'))
  if (span === null) return null
  const direct = value[name]
  if (typeof direct === 'string') return direct
  const token = utf8Of(text.slice(span.start, span.end))
  if (!token.startsWith('"')) return token === 'null' ? null : token
  // The token is a string of valid JSON.
  return JSON.parse(token) as string
}

async function* textRows(
  source: AsyncIterable<Uint8Array>,
  { names, report }: RowSource,
): AsyncGenerator<Row[]> {
  const unknown = names.find((name) => name !== 'text' && name !== 'line')
  if (unknown !== undefined) {
    throw new RefusedError(
      'unknown_column',
      `A line of plain text is {{text}} or {{line}}; there is no {{${unknown}}}.`,
    )
  }
  for await (const lines of readLines(source)) {
    yield lines.flatMap(({ bytes, lineBytes, lineNumber }) => {
      if (bytes === null) {
        report(lineNumber)({ code: 'line_too_long', message: `This line has ${lineBytes} bytes.` })
        return []
      }
      const fieldOf = (name: string): string => (name === 'line' ? String(lineNumber) : bytes.toString())
      return [{ lineNumber, fieldOf }]
    })
  }
}

/** @throws RefusedError `invalid_input` */
async function* decode(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  try {
    for await (const chunk of source) {
      yield decoder.decode(chunk, { stream: true })
      bytes += chunk.byteLength
    }
    yield decoder.decode()
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown
    const message = `The file is not valid UTF-8, somewhere behind byte ${bytes}. Save it as UTF-8.`
    throw new RefusedError('invalid_input', message)
  }
}
