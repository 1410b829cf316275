/** Progress of bytes that are read or sent: one line that is drawn anew on a terminal, now and then a line elsewhere. */
import { cutTo, formatBytes, formatDuration, oneLine, percentOf, widthOf } from './format.ts'
import type { Output } from './output.ts'
import { printable } from './printable.ts'
import { addSample, emptyTrack, remainingMs, speedOf, type Track } from './progress.ts'

export type ByteProgress = {
  /** @param bytes so far */
  update(bytes: number): void
  /** Removes the line. */
  end(): void
}

/** Required by the reference: redrawn at most ten times a second, elsewhere something every ten seconds. */
const DRAW_GAP_MS = 100
const LINE_GAP_MS = 10_000
/** Guess: what is over at once needs no progress. Required by the reference: a first sign within a second. */
const QUIET_MS = 500
/** A stalled transfer is told of as well. */
const TICK_MS = 100
const BAR_CELLS = 20

type Look = { label: string; bytes: number; total: number; track: Track; now: number }

export function createByteProgress(
  output: Pick<Output, 'progress' | 'columns' | 'stderr' | 'event'>,
  facts: { label: string; total: number },
): ByteProgress {
  const { progress, stderr } = output
  const isBar = progress === 'bar'
  const gapMs = isBar ? DRAW_GAP_MS : LINE_GAP_MS
  let track = emptyTrack
  let bytes = 0
  let dueAt = performance.now() + QUIET_MS
  let isDrawn = false
  const show = (): void => {
    const now = performance.now()
    if (now < dueAt) return
    dueAt = now + gapMs
    track = addSample(track, { at: now, done: bytes, tokens: null })
    output.event({ event: 'transfer', label: facts.label, bytes, total_bytes: facts.total })
    if (progress === 'none' || progress === 'json') return
    const line = byteLine({ ...facts, bytes, track, now })
    stderr.write(isBar ? `\r${cutTo(line, output.columns() - 1)}\u001b[K` : `${printable(line)}\n`)
    isDrawn = isBar
  }
  const timer = setInterval(show, TICK_MS)
  timer.unref()
  return {
    update(now) {
      bytes = now
      show()
    },
    end() {
      clearInterval(timer)
      if (isDrawn) stderr.write('\r\u001b[K')
    },
  }
}

function byteLine({ label, bytes, total, track, now }: Look): string {
  const { linesPerSecond: bytesPerSecond } = speedOf(track, now)
  const leftMs = remainingMs({ done: bytes, total }, bytesPerSecond)
  const full = Math.min(BAR_CELLS, Math.floor((bytes / total) * BAR_CELLS))
  // A total of 0 is not known.
  const words =
    total === 0
      ? [oneLine(label), formatBytes(bytes)]
      : [
          oneLine(label),
          `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}`,
          `${percentOf(bytes, total)}%`.padStart(4),
          `${formatBytes(bytes)}/${formatBytes(total)}`,
        ]
  if (bytesPerSecond !== null) words.push(`${formatBytes(Math.round(bytesPerSecond))}/s`)
  if (leftMs !== null) words.push(`ETA ${formatDuration(leftMs)}`)
  return words.filter((word) => widthOf(word) > 0).join('  ')
}
