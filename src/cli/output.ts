/** Data goes to stdout, words to stderr. Rows are a table on a terminal, one JSON object a line in a pipe, or tab-separated text. */
import { once } from 'node:events'
import { Table } from 'console-table-printer'
import { printable, printableJson } from './printable.ts'

export type Format = 'table' | 'json' | 'plain'

/** How rows of one kind look. */
export type View<T> = {
  columns: readonly { title: string; value: (row: T) => string; isNumber?: boolean }[]
  /** Columns of the plain form; those of the table where absent. */
  plain?: (row: T) => readonly string[]
}

export type Output = {
  readonly format: Format
  readonly isQuiet: boolean
  /** stderr is a terminal that understands cursor movement. */
  readonly isTerminal: boolean
  /** Columns of the terminal. */
  columns(): number
  /** Rows of data. `value` is what JSON shows of a row; the row itself where absent. */
  rows<T>(rows: readonly T[], view: View<T>): void
  /** One object: a line of JSON or plain text, or a table of one row. */
  object<T>(row: T, view: View<T>): void
  json(value: unknown): void
  /** A line of data as it is. */
  line(text: string): void
  /** Bytes of data as they are; resolves when more may be written. */
  bytes(chunk: Uint8Array): Promise<void>
  /** Words for people; nothing with --quiet. */
  say(words: string): void
  /** Words that are shown also with --quiet. */
  warn(words: string): void
  /** Raw control of stderr, for progress. */
  readonly stderr: NodeJS.WriteStream
}

export function createOutput(options: { format: Format; isQuiet: boolean }): Output {
  const { format, isQuiet } = options
  const { stdout, stderr } = process
  // A pipe or a file gets every byte as it is; a terminal would obey some of them.
  const isShown = stdout.isTTY === true
  const decoder = new TextDecoder()
  const line = (text: string): void => void stdout.write(`${isShown ? printable(text) : text}\n`)
  const json = (value: unknown): void => line(isShown ? printableJson(value) : JSON.stringify(value))
  const plainOf = <T>(row: T, view: View<T>): string =>
    (view.plain?.(row) ?? view.columns.map((column) => column.value(row)))
      .map((cell) => cell.replaceAll(/[\t\n]/g, ' '))
      .join('\t')
  const rows = <T>(all: readonly T[], view: View<T>): void => {
    if (format === 'json') for (const row of all) json(row)
    else if (format === 'plain') for (const row of all) line(plainOf(row, view))
    else line(all.length === 0 ? 'No results.' : tableOf(all, view))
  }
  return {
    format,
    isQuiet,
    isTerminal: stderr.isTTY === true && process.env.TERM !== 'dumb',
    columns: () => stderr.columns ?? stdout.columns ?? 80,
    rows,
    object: (row, view) => rows([row], view),
    json,
    line,
    async bytes(chunk) {
      if (!stdout.write(isShown ? printable(decoder.decode(chunk, { stream: true })) : chunk))
        await once(stdout, 'drain')
    },
    say: (words) => void (isQuiet || stderr.write(`${printable(words)}\n`)),
    warn: (words) => void stderr.write(`${printable(words)}\n`),
    stderr,
  }
}

function tableOf<T>(all: readonly T[], view: View<T>): string {
  const table = new Table({
    columns: view.columns.map((column) => ({
      name: column.title,
      alignment: column.isNumber === true ? 'right' : 'left',
    })),
    shouldDisableColors: true,
  })
  for (const row of all)
    table.addRow(Object.fromEntries(view.columns.map((column) => [column.title, column.value(row)])))
  return table.render()
}
