/** One batch on one line, for a terminal as a bar and elsewhere as plain text. Pure. */
import {
  cutTo,
  formatCount,
  formatDuration,
  formatShort,
  formatTimeOfDay,
  oneLine,
  percentOf,
  widthOf,
} from './format.ts'

/** What is known of a watched batch at one moment. */
export type BatchView = {
  id: string
  /** Null before the first answer of the server. */
  status: string | null
  total: number
  completed: number
  failed: number
  isEnded: boolean
  requestsPerSecond: number | null
  tokensPerSecond: number | null
  /** Milliseconds until the expected end; null while it cannot be told. */
  etaMs: number | null
  /** Milliseconds until the deadline, negative behind it; null when there is none. */
  dueMs: number | null
  /** Why it does not go on, in the server's words: `waiting: 401 from …`. */
  reason: string | null
  /** Why the last look at the server failed; what else is shown is then old. */
  trouble: string | null
}

export type Style = 'plain' | 'good' | 'warn' | 'bad' | 'faint'
export type Piece = { text: string; style: Style }

const GAP = '  '
const BAR_CELLS = 10
const BAR_CELLS_WIDE = 24
/** Guess: from here on a longer bar reads better and leaves room for all figures. */
const WIDE_COLUMNS = 150
/** Guess: an id in full leaves too little room for the figures below this. */
const FULL_ID_COLUMNS = 110
/** Guess: fewer columns of a reason say nothing. */
const REASON_COLUMNS_MIN = 48
const SHORT_ID_TAIL = 6

/** What is left out first when the line is too long, in this order. */
type PartName = 'tokens' | 'due' | 'rate' | 'bar' | 'eta' | 'reason' | 'failed' | 'counts' | 'percent' | 'id'
const givenUpFirst: readonly PartName[] = ['tokens', 'due', 'rate', 'bar', 'eta', 'counts']

type Part = Piece & { name: PartName }

/** @param columns the line takes at most this many */
export function barLine(view: BatchView, columns: number): Piece[] {
  const parts = barParts(view, columns)
  for (const name of givenUpFirst) {
    if (widthOfParts(parts, REASON_COLUMNS_MIN) <= columns) break
    const at = parts.findIndex((part) => part.name === name)
    if (at !== -1) parts.splice(at, 1)
  }
  return joinParts(parts, columns)
}

function barParts(view: BatchView, columns: number): Part[] {
  const part = (name: PartName, text: string, style: Style = 'plain'): Part => ({ name, text, style })
  const id = part('id', columns >= FULL_ID_COLUMNS ? view.id : shortId(view.id))
  const word = stateWord(view)
  if (view.total === 0) return [id, ...(word === null ? [] : [part('reason', word.text, word.style)])]
  const cells = columns >= WIDE_COLUMNS ? BAR_CELLS_WIDE : BAR_CELLS
  const done = view.completed + view.failed
  const parts = [
    id,
    part('bar', bar(done, view.total, cells), barStyle(view)),
    part('percent', `${percentOf(done, view.total)}%`.padStart(4)),
    part('counts', `${formatCount(done)}/${formatCount(view.total)}`),
  ]
  if (view.failed > 0) parts.push(part('failed', `${formatCount(view.failed)} failed`, 'bad'))
  if (!view.isEnded) {
    if (view.requestsPerSecond !== null)
      parts.push(part('rate', `${formatShort(view.requestsPerSecond)} req/s`))
    if (view.tokensPerSecond !== null)
      parts.push(part('tokens', `${formatShort(view.tokensPerSecond)} tok/s`))
    const eta = etaText(view)
    if (eta !== null) parts.push(part('eta', eta, isLate(view) ? 'warn' : 'plain'))
    if (view.dueMs !== null) parts.push(part('due', dueText(view.dueMs), isLate(view) ? 'warn' : 'faint'))
  }
  if (word !== null) parts.push(part('reason', word.text, word.style))
  return parts
}

function etaText(view: BatchView): string | null {
  if (view.status !== 'in_progress') return null
  if (view.etaMs !== null) return `ETA ${formatDuration(view.etaMs)}`
  return view.reason === null && view.trouble === null ? 'ETA estimating' : null
}

function dueText(dueMs: number): string {
  return dueMs >= 0 ? `due ${formatDuration(dueMs)}` : `${formatDuration(-dueMs)} late`
}

function isLate(view: BatchView): boolean {
  if (view.dueMs === null) return false
  return view.dueMs < 0 || (view.etaMs !== null && view.etaMs > view.dueMs)
}

/** What stands at the end of the line: the state, or what holds the batch up. Null while it simply runs. */
function stateWord(view: BatchView): Piece | null {
  if (view.status === null)
    return { text: view.trouble ?? 'asking the server', style: view.trouble === null ? 'faint' : 'warn' }
  if (view.isEnded) {
    const isGood = view.status === 'completed' && view.completed === view.total && view.total > 0
    const isSome = view.status === 'completed'
    return { text: view.status, style: isGood ? 'good' : isSome ? 'warn' : 'bad' }
  }
  if (view.trouble !== null) return { text: view.trouble, style: 'warn' }
  if (view.reason !== null) return { text: view.reason, style: 'warn' }
  return view.status === 'in_progress' ? null : { text: view.status, style: 'faint' }
}

function barStyle(view: BatchView): Style {
  if (!view.isEnded) return 'plain'
  if (view.completed === view.total) return 'good'
  return view.status === 'completed' ? 'warn' : 'bad'
}

/** A full bar means that every line has ended. */
function bar(done: number, total: number, cells: number): string {
  const full = Math.min(cells, Math.floor((done / total) * cells))
  return '█'.repeat(full) + '░'.repeat(cells - full)
}

function shortId(id: string): string {
  const prefix = /^[a-z]+[_-]/.exec(id)?.[0] ?? ''
  return id.length <= prefix.length + SHORT_ID_TAIL + 1 ? id : `${prefix}…${id.slice(-SHORT_ID_TAIL)}`
}

function widthOfParts(parts: readonly Part[], reasonColumnsMax: number): number {
  return parts.reduce((width, part, number) => {
    const own = widthOf(part.text)
    return (
      width +
      (number === 0 ? 0 : GAP.length) +
      (part.name === 'reason' ? Math.min(own, reasonColumnsMax) : own)
    )
  }, 0)
}

function joinParts(parts: readonly Part[], columns: number): Piece[] {
  const pieces: Piece[] = []
  let left = columns
  for (const [number, { text, style }] of parts.entries()) {
    if (number > 0) {
      if (left <= GAP.length) break
      pieces.push({ text: GAP, style: 'plain' })
      left -= GAP.length
    }
    const shown = cutTo(oneLineKeepingPad(text), left)
    pieces.push({ text: shown, style })
    left -= widthOf(shown)
  }
  return pieces
}

/** The percentage keeps its place by leading spaces. */
function oneLineKeepingPad(text: string): string {
  const clean = oneLine(text)
  return /^ +\d+%$/.test(text) ? text : clean
}

/** For logs: time of day, full id, wire state, and figures as `name=value`. */
export function plainLine(view: BatchView, at: number): string {
  const done = view.completed + view.failed
  const words = [formatTimeOfDay(at), view.id, view.status ?? 'no answer yet']
  if (view.total > 0) words.push(`${done}/${view.total} (${percentOf(done, view.total)}%)`)
  if (view.total > 0) words.push(`failed=${view.failed}`)
  if (!view.isEnded && view.total > 0) {
    if (view.requestsPerSecond !== null) words.push(`rate=${formatShort(view.requestsPerSecond)}/s`)
    if (view.tokensPerSecond !== null) words.push(`tokens=${formatShort(view.tokensPerSecond)}/s`)
    if (view.etaMs !== null) words.push(`eta=${formatDuration(view.etaMs)}`)
    if (view.dueMs !== null)
      words.push(
        view.dueMs >= 0 ? `due=${formatDuration(view.dueMs)}` : `late=${formatDuration(-view.dueMs)}`,
      )
  }
  if (!view.isEnded && view.reason !== null) words.push(oneLine(view.reason))
  if (view.trouble !== null) words.push(oneLine(view.trouble))
  return words.join(' ')
}
