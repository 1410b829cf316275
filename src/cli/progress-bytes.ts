/** Progress of bytes that are read or sent: one line that is drawn anew on a terminal, now and then a line elsewhere. */
import { cutTo, formatBytes, formatDuration, oneLine, percentOf, widthOf } from './format.ts'
import type { Output } from './output.ts'
import { addSample, emptyTrack, remainingMs, speedOf, type Track } from './progress.ts'

export type ByteProgress = {
  /** @param bytes so far */
  update(bytes: number): void
  /** Removes the line. */
  end(): void
}

/** Required by the reference: redrawn at most ten times a second, elsewhere a line every ten seconds. */
const DRAW_GAP_MS = 100
const LINE_GAP_MS = 10_000
/** Guess: what is over at once needs no progress. */
const QUIET_MS = 500
const BAR_CELLS = 20

type Look = { label: string; bytes: number; total: number; track: Track; now: number }

export function createByteProgress(
  output: Pick<Output, 'isQuiet' | 'isTerminal' | 'columns' | 'stderr'>,
  facts: { label: string; total: number },
): ByteProgress {
  if (output.isQuiet) return { update() {}, end() {} }
  const { isTerminal, stderr } = output
  const startedAt = performance.now()
  let track = emptyTrack
  let shownAt = isTerminal ? startedAt + QUIET_MS - DRAW_GAP_MS : startedAt
  let isShown = false
  return {
    update(bytes) {
      const now = performance.now()
      if (now - shownAt < (isTerminal ? DRAW_GAP_MS : LINE_GAP_MS)) return
      track = addSample(track, { at: now, done: bytes, tokens: null })
      const line = byteLine({ ...facts, bytes, track, now })
      stderr.write(isTerminal ? `\r${cutTo(line, output.columns() - 1)}\u001b[K` : `${line}\n`)
      shownAt = now
      isShown = true
    },
    end() {
      if (isTerminal && isShown) stderr.write('\r\u001b[K')
    },
  }
}

function byteLine({ label, bytes, total, track, now }: Look): string {
  const { linesPerSecond: bytesPerSecond } = speedOf(track, now)
  const leftMs = remainingMs({ done: bytes, total }, bytesPerSecond)
  const full = total === 0 ? 0 : Math.min(BAR_CELLS, Math.floor((bytes / total) * BAR_CELLS))
  const words = [
    oneLine(label),
    `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}`,
    `${percentOf(bytes, total)}%`.padStart(4),
    `${formatBytes(bytes)}/${formatBytes(total)}`,
  ]
  if (bytesPerSecond !== null) words.push(`${formatBytes(Math.round(bytesPerSecond))}/s`)
  if (leftMs !== null) words.push(`ETA ${formatDuration(leftMs)}`)
  return words.filter((word) => widthOf(word) > 0).join('  ')
}
