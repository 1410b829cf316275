/** Data goes to stdout, words to stderr. Rows are a table on a terminal, one JSON object a line in a pipe, or tab-separated text. */
import { once } from 'node:events'
import { type CliEvent, type EventsFile, eventLine } from './events.ts'
import { fieldText, pickFields, requireFields } from './fields.ts'
import type { Filter } from './jq.ts'
import type { Pager } from './pager.ts'
import { printable, printableJson } from './printable.ts'
import type { ProgressMode, Speech } from './speech.ts'
import { drawTable } from './table.ts'

export type Format = 'table' | 'json' | 'plain'

/** How rows of one kind look. */
export type View<T> = {
  /** An id is never cut; the first column is one unless another says so. */
  columns: readonly { title: string; value: (row: T) => string; isNumber?: boolean; isId?: boolean }[]
  /** Columns of the plain form; those of the table where absent. */
  plain?: (row: T) => readonly string[]
  /** What names a row; its field `id` where absent. */
  id?: (row: T) => string
  /** Columns were left out because the terminal is narrow. */
  isNarrowed?: boolean
}

export type Output = {
  readonly format: Format
  readonly isQuiet: boolean
  /** stderr is a terminal that is drawn on: never for an agent, nor where a log goes there. */
  readonly isTerminal: boolean
  /** Words on stderr may be coloured. */
  readonly isColoured: boolean
  /** How far something has come is shown this way. */
  readonly progress: ProgressMode
  /** Columns of the terminal of stderr. */
  columns(): number
  /** Columns that a table may take: infinite in a pipe, and with --no-truncate. */
  tableColumns(): number
  /** Rows of data. `value` is what JSON shows of a row; the row itself where absent. */
  rows<T>(rows: readonly T[], view: View<T>): void
  /** One object: a line of JSON or plain text, or a table of one row. */
  object<T>(row: T, view: View<T>): void
  json(value: unknown): void
  /** A line of data as it is. */
  line(text: string): void
  /** Bytes of data as they are; resolves when more may be written. With --jq they are lines of JSON. */
  bytes(chunk: Uint8Array): Promise<void>
  /** Words for people; nothing with --quiet. */
  say(words: string): void
  /** Words that are shown also with --quiet. */
  warn(words: string): void
  /** Something happened that programs may want to know: with --progress json, and in the file of --events-file. */
  event(event: CliEvent): void
  /** Raw control of stderr, for progress. */
  readonly stderr: NodeJS.WriteStream
}

/** What the output needs besides the decisions: all of it is made only where it is asked for. */
export type OutputParts = {
  /** What objects go through. */
  filter: Filter | null
  /** What lines of JSON go through that are passed as they are. */
  linesFilter: (() => Promise<Filter>) | null
  pager: Pager | null
  /** Where words wait while a pager has the screen: they would be written into its page. */
  held: (() => void)[] | null
  eventsFile: EventsFile | null
}

export type OutputSpeech = Pick<
  Speech,
  'format' | 'isQuiet' | 'isIdsOnly' | 'isTerminal' | 'isColoured' | 'progress' | 'fields' | 'isTruncated'
>

/** Guess: what a terminal has that does not tell. */
const COLUMNS_ELSE = 80

export function createOutput(speech: OutputSpeech, parts: OutputParts): Output {
  const { format, isQuiet, isTerminal, isColoured, progress } = speech
  const { stdout, stderr } = process
  const words = createWords(speech, parts)
  const data = createData(parts)
  const tableColumns = (): number =>
    stdout.isTTY === true && speech.isTruncated ? (stdout.columns ?? COLUMNS_ELSE) : Number.POSITIVE_INFINITY
  const tableHint = createHint(words.say)
  const rows = <T>(all: readonly T[], view: View<T>): void => {
    const ids = speech.isIdsOnly ? idsOf(all, view) : null
    if (ids !== null) for (const id of ids) data.line(id)
    else if (speech.fields !== null) fieldRows(all, speech.fields)
    else if (format === 'json') for (const row of all) data.json(row)
    else if (format === 'plain') for (const row of all) data.line(plainOf(row, view))
    else if (all.length === 0) data.line('No results.')
    else {
      const cells = all.map((row) => view.columns.map((column) => column.value(row)))
      // Of a single object the columns that matter are there.
      drawRows(withIds(view.columns), cells, view.isNarrowed === true && all.length > 1)
    }
  }
  const drawRows = (
    columns: Parameters<typeof drawTable>[0],
    cells: readonly (readonly string[])[],
    isNarrowed: boolean,
  ): void => {
    const { text, isCut } = drawTable(columns, cells, tableColumns())
    data.paged(text)
    if (isCut || isNarrowed) tableHint()
  }
  const json = (value: unknown): void => {
    if (speech.fields === null) return data.json(value)
    requireFields([value], speech.fields)
    data.json(pickFields(value, speech.fields))
  }
  const fieldRows = (all: readonly unknown[], fields: readonly string[]): void => {
    requireFields(all, fields)
    const picked = all.map((row) => pickFields(row, fields))
    if (format === 'json') for (const row of picked) data.json(row)
    else {
      const cells = picked.map((row) => fields.map((field) => oneCell(fieldText(row[field]))))
      if (format === 'plain') for (const row of cells) data.line(row.join('\t'))
      else
        drawRows(
          fields.map((title) => ({ title, isId: /(^|_)id$/.test(title) })),
          cells,
          false,
        )
    }
  }
  return {
    ...{ format, isQuiet, isTerminal, isColoured, progress, stderr, tableColumns, rows },
    ...{ json, line: data.line, bytes: data.bytes, ...words },
    columns: () => stderr.columns ?? stdout.columns ?? COLUMNS_ELSE,
    object: (row, view) => rows([row], view),
  }
}

/** What a command prints, on its way through the filter, the pager, or neither. */
function createData({ filter, linesFilter, pager }: OutputParts) {
  const { stdout } = process
  // A pipe or a file gets every byte as it is; a terminal would obey some of them.
  const isShown = stdout.isTTY === true
  const decoder = new TextDecoder()
  const line = (text: string): void => void stdout.write(`${isShown ? printable(text) : text}\n`)
  return {
    line,
    paged(text: string): void {
      if (pager === null) line(text)
      else pager.write(`${printable(text)}\n`)
    },
    json(value: unknown): void {
      if (filter !== null) filter.add(JSON.stringify(value))
      else line(isShown ? printableJson(value) : JSON.stringify(value))
    },
    async bytes(chunk: Uint8Array): Promise<void> {
      if (linesFilter !== null) await (await linesFilter()).bytes(chunk)
      else await written(isShown ? printable(decoder.decode(chunk, { stream: true })) : chunk)
    },
  }
}

/** Writes data; resolves when more may be written. */
export async function written(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await once(process.stdout, 'drain')
}

/** Talk on stderr. */
function createWords({ isQuiet, progress }: OutputSpeech, { eventsFile, held }: OutputParts) {
  const { stderr } = process
  const isEvents = progress === 'json'
  const event = (one: CliEvent): void => {
    eventsFile?.write(one)
    if (isEvents) stderr.write(eventLine(one))
  }
  const talk = (text: string): void => {
    const tell = (): void => void stderr.write(`${printable(text)}\n`)
    if (held === null) tell()
    else held.push(tell)
  }
  return {
    event,
    say: (text: string): void => {
      // A reader of events finds nothing else on the stream.
      if (!isQuiet && !isEvents) talk(text)
    },
    warn: (text: string): void => {
      if (isEvents) stderr.write(eventLine({ event: 'warning', message: text }))
      else talk(text)
    },
  }
}

/** Said once a command, however many tables it draws. */
function createHint(say: (words: string) => void): () => void {
  let isSaid = false
  return () => {
    if (isSaid) return
    isSaid = true
    say('Not everything fits the terminal. All of it: --no-truncate, or --json.')
  }
}

function withIds<T>(columns: View<T>['columns']): View<T>['columns'] {
  if (columns.some(({ isId }) => isId === true)) return columns
  return columns.map((column, place) => (place === 0 ? { ...column, isId: true } : column))
}

/** Null where rows of this kind have no name. */
function idsOf<T>(rows: readonly T[], view: View<T>): string[] | null {
  const ids = rows.map((row) => view.id?.(row) ?? ownId(row))
  return ids.every((id) => id !== null) ? ids : null
}

function ownId(row: unknown): string | null {
  if (typeof row !== 'object' || row === null || !('id' in row)) return null
  return typeof row.id === 'string' ? row.id : null
}

function plainOf<T>(row: T, view: View<T>): string {
  const cells = view.plain?.(row) ?? view.columns.map((column) => column.value(row))
  return cells.map(oneCell).join('\t')
}

function oneCell(text: string): string {
  return text.replace(/[\t\n]/g, ' ')
}
