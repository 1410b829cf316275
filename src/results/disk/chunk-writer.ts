/**
 * Gathers result lines on the main thread and hands them to the log thread, one chunk at a time: while one is being synced the
 * next one gathers. That is the group commit.
 */
import type { Tally } from '../../domain/batch.ts'
import { sharedMonotonicMs } from '../../lib/clock.ts'
import { assert } from '../../lib/errors.ts'
import { encodeRecord, type LineRecord, RECORD_BYTES } from '../record.ts'
import { encodeLineHeader, FRAME_HEADER_BYTES, GROUP_FRAME_BYTES, LINE_FRAME_BYTES } from './log-format.ts'
import type { Appended } from './log-worker.ts'

/** Guess: holds what gathers during one sync of a fast disk at 20,000 lines/s; a fuller chunk grows. */
const CHUNK_BYTES = 512 * 1024
/** Guess: gathers a burst, short beside a model call, below the 5 ms within which a sync must start. Revisit with `bench dispatch`. */
const GATHER_MS = 1
const NEWLINE = 10

/** Resolves with the chunk's memory and the instant of its sync once its lines are durable. */
export type SendChunk = (chunk: ArrayBuffer, bytes: number) => Promise<Appended>

/** @param waitedMs of its oldest line, from the append to the sync */
export type OnDurable = (chunk: { tallies: ReadonlyMap<number, Tally>; waitedMs: number }) => void

export class ChunkWriter {
  /** Monotonic ms at which the oldest line that is not durable was appended; null when there is none. */
  oldestAt: number | null = null
  readonly #send: SendChunk
  readonly #monotonicMs: () => number
  readonly #onDurable: OnDurable
  readonly #spare: ArrayBuffer[] = []
  #chunk: Buffer
  #bytes = GROUP_FRAME_BYTES
  /** Tallies of the batches touched by this chunk, after its last line. */
  #touched = new Map<number, Tally>()
  #gatheringSince: number | null = null
  #isSending = false
  #timer: NodeJS.Timeout | null = null
  /** Wait for what is gathering, and for what is being sent. */
  #gatheringWaiters: (() => void)[] = []
  #sendingWaiters: (() => void)[] = []

  constructor(parts: {
    send: SendChunk
    monotonicMs: () => number
    onDurable: OnDurable
  }) {
    this.#send = parts.send
    this.#monotonicMs = parts.monotonicMs
    this.#onDurable = parts.onDurable
    this.#chunk = Buffer.from(new ArrayBuffer(CHUNK_BYTES))
  }

  /**
   * Copies the line in. @param tally of the batch with this line, changed in place by the next one; it is copied with the chunk.
   * @param parts together `lineBytes` long with the newline, which is added.
   */
  append(seq: number, record: LineRecord, tally: Tally, parts: readonly (Uint8Array | string)[]): void {
    const payloadBytes = record.lineBytes
    this.#makeRoom(LINE_FRAME_BYTES + payloadBytes)
    const at = this.#bytes
    encodeLineHeader(this.#chunk, at, { seq, payloadBytes })
    encodeRecord(record, this.#chunk, at + FRAME_HEADER_BYTES)
    let place = at + FRAME_HEADER_BYTES + RECORD_BYTES
    for (const part of parts) {
      if (typeof part === 'string') place += this.#chunk.write(part, place, 'utf8')
      else {
        this.#chunk.set(part, place)
        place += part.byteLength
      }
    }
    this.#chunk[place] = NEWLINE
    this.#bytes = place + 1
    assert(
      this.#bytes === at + LINE_FRAME_BYTES + payloadBytes,
      'a result line is as long as it was said to be',
    )
    this.#touched.set(seq, tally)
    this.#gatheringSince ??= this.#monotonicMs()
    this.oldestAt ??= this.#gatheringSince
    if (!this.#isSending) this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS)
  }

  /** Resolves when everything appended so far is durable. */
  drained(): Promise<void> {
    if (this.oldestAt === null) return Promise.resolve()
    const waiters = this.#gatheringSince === null ? this.#sendingWaiters : this.#gatheringWaiters
    const done = new Promise<void>((resolve) => waiters.push(resolve))
    if (!this.#isSending) this.#flush()
    return done
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#gatheringSince === null) return
    const tallies = new Map([...this.#touched].map(([seq, tally]) => [seq, { ...tally }]))
    const gatheredMs = this.#monotonicMs() - this.#gatheringSince
    const sentAt = sharedMonotonicMs()
    const { buffer } = this.#chunk
    const bytes = this.#bytes
    this.#sendingWaiters = this.#gatheringWaiters
    this.#gatheringWaiters = []
    this.#touched = new Map()
    this.#gatheringSince = null
    this.#isSending = true
    this.#chunk = Buffer.from(this.#spare.pop() ?? new ArrayBuffer(CHUNK_BYTES))
    this.#bytes = GROUP_FRAME_BYTES
    // `Buffer.from(ArrayBuffer)` above is the only source of chunks.
    this.#send(buffer as ArrayBuffer, bytes).then(
      ({ chunk, syncedAt }) => {
        if (chunk.byteLength === CHUNK_BYTES) this.#spare.push(chunk)
        this.#isSending = false
        this.oldestAt = this.#gatheringSince
        this.#onDurable({ tallies, waitedMs: gatheredMs + syncedAt - sentAt })
        for (const wake of this.#sendingWaiters.splice(0)) wake()
        if (this.#gatheringSince !== null) this.#flush()
      },
      () => {
        // The thread died: whoever started it ends the process. Nothing becomes durable any more.
      },
    )
  }

  #makeRoom(bytes: number): void {
    if (this.#bytes + bytes <= this.#chunk.byteLength) return
    const larger = Buffer.from(new ArrayBuffer(Math.max(this.#chunk.byteLength * 2, this.#bytes + bytes)))
    this.#chunk.copy(larger, 0, 0, this.#bytes)
    this.#chunk = larger
  }
}
