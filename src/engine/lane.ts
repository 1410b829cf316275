/**
 * A lane: the lines of one batch that ask for one model, in the order of its plan (absent: input order).
 *
 * Invariants: a line is in exactly one place: behind the cursor and recorded, ready, in flight, waiting for its next attempt, or
 * before the cursor. After a restart the cursor begins again and passes over recorded lines.
 */

import {
  RETRIES_WAITING_MAX,
  WINDOW_BYTES_MAX,
  WINDOW_LINES_MAX,
  WINDOW_LINES_MIN,
} from '../domain/limits.ts'
import type { LaneView } from '../domain/pick.ts'
import { hasBit } from '../lib/bitmap.ts'
import type { Clock } from '../lib/clock.ts'
import { assert } from '../lib/errors.ts'
import { Fifo } from '../lib/fifo.ts'
import type { IndexedLine, LineReader } from './line-reader.ts'

/** One line on its way to an answer. */
export type LineRequest = {
  readonly lineIndex: number
  body: Uint8Array
  customId: Uint8Array
  readonly endpointNumber: number
  /** HTTP calls made for it, and doubtful ends that used up an attempt. */
  calls: number
  failures: number
  /** Monotonic ms at which its first call began that ended in doubt: a neighbour that speaks against the line began later. */
  doubtedAt: number | null
  /** Server time of the first call, null before. */
  startedAt: number | null
}

export type LaneOptions = {
  batchId: string
  tenantId: string
  seq: number
  deadlineAt: number
  model: string
  /** Places of the plan that are this lane's; without a plan the places are line indexes. */
  places: { from: number; to: number }
  hasPlan: boolean
  recorded: Uint8Array
  reader: LineReader
  clock: Clock
  /** A line became ready. */
  onReady: () => void
  /** Reading failed: the input is damaged or the disk is. */
  onTrouble: (cause: unknown) => void
}

export class Lane implements LaneView {
  readonly options: LaneOptions
  readonly seq: number
  readonly deadlineAt: number
  linesLeft: number
  inFlight = 0
  /** Position among the trials of all lanes of the last one that took a line of this; 0: none did. */
  lastTrial = 0
  readonly #fresh = new Fifo<LineRequest>()
  /** Lines that come back: they go first, so that a bad line uses up its attempts while its neighbours succeed. */
  readonly #again = new Fifo<LineRequest>()
  #cursor: number
  #windowLines = WINDOW_LINES_MIN
  #isLoading = false
  #isClosed = false
  readonly #waiting = new Set<() => void>()

  constructor(options: LaneOptions) {
    this.options = options
    this.seq = options.seq
    this.deadlineAt = options.deadlineAt
    this.linesLeft = options.places.to - options.places.from
    this.#cursor = options.places.from
  }

  get isReady(): boolean {
    return this.#fresh.length > 0 || this.#again.length > 0
  }

  get isLoading(): boolean {
    return this.#isLoading
  }

  /** Lines exist that `load` could make ready. */
  get canLoad(): boolean {
    const hasRoom = this.#fresh.length < this.#windowLines / 2
    return (
      !this.#isLoading &&
      !this.#isClosed &&
      hasRoom &&
      this.#cursor < this.options.places.to &&
      this.#waiting.size < RETRIES_WAITING_MAX
    )
  }

  /** No line of it will ever become ready again, except by `putBack`. */
  get isExhausted(): boolean {
    return (
      !this.isReady && !this.#isLoading && this.#cursor >= this.options.places.to && this.#waiting.size === 0
    )
  }

  /** @param prefersFresh for a trial: a line that has failed before would prove nothing. */
  take(options: { prefersFresh: boolean }): LineRequest {
    const isFresh = this.#again.length === 0 || (options.prefersFresh && this.#fresh.length > 0)
    const request = isFresh ? this.#fresh.shift() : this.#again.shift()
    assert(request !== undefined, 'a lane was picked that has no ready line')
    return request
  }

  /** The line goes back: at once, or after a delay. Its bytes are copied, so that it does not hold a whole window in memory. */
  putBack(request: LineRequest, delayMs: number): void {
    if (this.#isClosed) return
    request.body = Buffer.from(request.body)
    request.customId = Buffer.from(request.customId)
    if (delayMs <= 0) {
      this.#again.push(request)
      return this.options.onReady()
    }
    const cancel = this.options.clock.after(delayMs, () => {
      this.#waiting.delete(cancel)
      this.#again.push(request)
      this.options.onReady()
    })
    this.#waiting.add(cancel)
  }

  /** Reads the next lines ahead. Call only when `canLoad`. */
  load(): void {
    this.#isLoading = true
    this.#loadWindow()
      .then(() => {
        this.#isLoading = false
        if (!this.#isClosed) this.options.onReady()
      })
      .catch((thrown: unknown) => {
        this.#isLoading = false
        if (!this.#isClosed) this.options.onTrouble(thrown)
      })
  }

  close(): void {
    this.#isClosed = true
    for (const cancel of this.#waiting) cancel()
    this.#waiting.clear()
    this.#fresh.clear()
    this.#again.clear()
  }

  async #loadWindow(): Promise<void> {
    const { places, reader, recorded } = this.options
    while (this.#cursor < places.to) {
      const from = this.#cursor
      const to = Math.min(places.to, from + this.#windowLines)
      const indexes = this.options.hasPlan ? await reader.plan(from, to) : span(from, to)
      const open = indexes.filter((lineIndex) => !hasBit(recorded, lineIndex))
      if (open.length === 0) {
        this.linesLeft -= indexes.length
        this.#cursor = to
        continue
      }
      const entries = this.options.hasPlan
        ? await reader.entriesOf(open)
        : (await reader.entries(from, to)).filter((entry) => !hasBit(recorded, entry.lineIndex))
      const fitting = fittingEntries(entries)
      const lines = await reader.lines(fitting)
      const last = fitting.at(-1)
      assert(last !== undefined, 'a window holds at least one line')
      // Lines that did not fit are read again with the next window.
      this.#cursor = fitting.length === entries.length ? to : from + indexes.indexOf(last.lineIndex) + 1
      // Only those passed over for good: the recorded ones behind the cursor are met again.
      this.linesLeft -= this.#cursor - from - fitting.length
      for (const line of lines)
        this.#fresh.push({ ...line, calls: 0, failures: 0, doubtedAt: null, startedAt: null })
      this.#windowLines = Math.min(WINDOW_LINES_MAX, this.#windowLines * 2)
      return
    }
  }
}

function span(from: number, to: number): Uint32Array {
  return Uint32Array.from({ length: to - from }, (_, place) => from + place)
}

/** The first entries that together stay below the window's bytes; at least one. */
function fittingEntries(entries: readonly IndexedLine[]): readonly IndexedLine[] {
  let bytes = 0
  let count = 0
  for (const entry of entries) {
    bytes += entry.lineBytes
    if (count > 0 && bytes > WINDOW_BYTES_MAX) break
    count += 1
  }
  return entries.slice(0, count)
}
