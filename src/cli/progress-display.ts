/** Where progress is shown: bars that are drawn anew on a terminal, plain lines elsewhere, nothing when asked to be quiet. */
import { styleText } from 'node:util'
import { widthOf } from './format.ts'
import { type BatchView, barLine, type Piece, plainLine, type Style } from './progress-line.ts'

/** A display pulls what it shows; all of it goes to a stream that carries no data. */
export type Display = {
  /** Something may have changed. */
  changed(): void
  /** A line that stays, above the bars. */
  say(text: string): void
  /** Leaves the last state on the screen. No timer is left behind. */
  end(): void
}

export type DisplayOptions = { views: () => readonly BatchView[] }

/** What the bars need of a terminal. */
export type Terminal = {
  write(text: string): unknown
  columns?: number
  rows?: number
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

/** Required by the reference: redrawn at most ten times a second. */
const DRAW_GAP_MS = 100
/** Remaining times count down between two looks at the server. */
const TICK_MS = 1_000
/** Required by the reference: a line at least this often. */
const LINE_GAP_MS = 10_000
const COLUMNS_ELSE = 80
const ROWS_ELSE = 24

const styleNames = {
  plain: null,
  good: 'green',
  warn: 'yellow',
  bad: 'red',
  faint: 'dim',
} as const satisfies Record<Style, string | null>

export function paint(pieces: readonly Piece[], isColoured: boolean): string {
  return pieces
    .map(({ text, style }) => {
      const name = styleNames[style]
      return name === null || !isColoured ? text : styleText(name, text, { validateStream: false })
    })
    .join('')
}

/**
 * Draws all lines in one write, over the ones before. Only as many batches as there are rows: what runs goes first.
 * A terminal that has become narrower has folded the old lines, so the way up is counted in its new width.
 */
export function createBars(terminal: Terminal, options: DisplayOptions & { isColoured: boolean }): Display {
  let drawnWidths: number[] = []
  let drawnAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | null = null

  const columns = (): number => Math.max(1, (terminal.columns ?? COLUMNS_ELSE) - 1)
  const erase = (): string => {
    const width = terminal.columns ?? COLUMNS_ELSE
    const rows = drawnWidths.reduce((sum, drawn) => sum + Math.max(1, Math.ceil(drawn / width)), 0)
    return rows === 0 ? '' : `\u001b[${rows}A\r`
  }
  const block = (): string => {
    const lines = visibleLines(options.views(), { columns: columns(), rows: terminal.rows ?? ROWS_ELSE })
    const text = `${erase()}${lines.map((line) => `${paint(line, options.isColoured)}\u001b[K\n`).join('')}\u001b[J`
    drawnWidths = lines.map((line) => widthOf(line.map((piece) => piece.text).join('')))
    return text
  }
  const draw = (): void => {
    timer = null
    drawnAt = performance.now()
    terminal.write(block())
    schedule(TICK_MS)
  }
  const schedule = (delayMs: number): void => {
    if (timer !== null) clearTimeout(timer)
    timer = setTimeout(draw, delayMs)
  }
  const changed = (): void => schedule(Math.max(0, drawnAt + DRAW_GAP_MS - performance.now()))
  terminal.on('resize', changed)
  changed()
  return {
    changed,
    say(text) {
      const up = erase()
      drawnWidths = []
      terminal.write(`${up}\u001b[J${text}\n${block()}`)
      drawnAt = performance.now()
    },
    end() {
      if (timer !== null) clearTimeout(timer)
      timer = null
      terminal.off('resize', changed)
      terminal.write(block())
    },
  }
}

function visibleLines(views: readonly BatchView[], screen: { columns: number; rows: number }): Piece[][] {
  const room = Math.max(1, screen.rows - 1)
  if (views.length <= room) return views.map((view) => barLine(view, screen.columns))
  const shown = [...views.filter((view) => !view.isEnded), ...views.filter((view) => view.isEnded)].slice(
    0,
    Math.max(0, room - 1),
  )
  const hidden = views.length - shown.length
  const ended = views.filter((view) => view.isEnded).length
  const more: Piece = { text: `… and ${hidden} more; ${ended} of ${views.length} have ended`, style: 'faint' }
  return [
    ...shown.map((view) => barLine(view, screen.columns)),
    [{ ...more, text: more.text.slice(0, screen.columns) }],
  ]
}

/** One line at the start, with every change of state, and every ten seconds while it runs. */
export function createLines(
  write: (line: string) => void,
  options: DisplayOptions & { now: () => number },
): Display {
  const shown = new Map<string, string>()
  const show = (view: BatchView): void => {
    write(plainLine(view, options.now()))
    shown.set(view.id, stateKey(view))
  }
  const changed = (): void => {
    for (const view of options.views()) if (shown.get(view.id) !== stateKey(view)) show(view)
  }
  const timer = setInterval(() => {
    for (const view of options.views()) if (!view.isEnded) show(view)
  }, LINE_GAP_MS)
  changed()
  return {
    changed,
    say: write,
    end() {
      clearInterval(timer)
      changed()
    },
  }
}

function stateKey(view: BatchView): string {
  return [view.status, view.reason, view.trouble].join('\n')
}

export const noDisplay: Display = { changed() {}, say() {}, end() {} }
