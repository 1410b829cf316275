/** A table of rows that fits a terminal: the widest columns are cut first, and ids never. Pure. */
import { Table } from 'console-table-printer'
import { cutTo, widthOf } from './format.ts'

export type Column = { title: string; isNumber?: boolean; isId?: boolean }

/** Guess: less of a cell says nothing. */
const CELL_COLUMNS_MIN = 8
/** A border and a blank on each side of a cell. */
const FRAME_COLUMNS = 3

export type Drawn = { text: string; isCut: boolean }

/** @param width columns of the terminal; infinite where nothing is to be cut */
export function drawTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): Drawn {
  const widths = columns.map(({ title }, place) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[place] ?? ''))),
  )
  const limits = fitted(columns, widths, width)
  const isCut = limits.some((limit, place) => limit < (widths[place] ?? 0))
  const titles = columns.map(({ title }, place) => cutTo(title, limits[place] ?? 0))
  const table = new Table({
    columns: columns.map(({ isNumber, title }, place) => ({
      name: title,
      title: titles[place] ?? '',
      alignment: isNumber === true ? 'right' : 'left',
    })),
    shouldDisableColors: true,
  })
  for (const row of rows)
    table.addRow(
      Object.fromEntries(
        columns.map(({ title }, place) => [title, cutTo(row[place] ?? '', limits[place] ?? 0)]),
      ),
    )
  return { text: table.render(), isCut }
}

/** Takes columns away from the widest cells until the table fits, or until no cell can give any. */
function fitted(columns: readonly Column[], widths: readonly number[], width: number): number[] {
  const limits = [...widths]
  let over = limits.reduce((sum, limit) => sum + limit + FRAME_COLUMNS, 1) - width
  while (over > 0) {
    let widest = -1
    for (const [place, limit] of limits.entries()) {
      const isFixed = columns[place]?.isId === true || limit <= CELL_COLUMNS_MIN
      if (!isFixed && (widest === -1 || limit > (limits[widest] ?? 0))) widest = place
    }
    if (widest === -1) break
    limits[widest] = (limits[widest] ?? 0) - 1
    over -= 1
  }
  return limits
}
