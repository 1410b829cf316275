/**
 * What the engine holds in memory of one live batch. Everything here is rebuilt from the store and the result log.
 *
 *   waiting   known, not opened: a row and a deadline
 *   opening   being validated, its results being recovered
 *   running   its lanes are served
 *   closing   no new call starts; when the last one is back, the rest of the lines gets its closing lines
 *   ended     its terminal state is stored, or it is halted
 */
import type { Batch, Tally } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import type { WindowPolicy } from '../domain/window.ts'
import { Bag } from '../lib/bag.ts'
import type { Clock } from '../lib/clock.ts'
import { Lane } from './lane.ts'
import type { LineReader } from './line-reader.ts'
import { Pace } from './pace.ts'
import type { RunningCall } from './upstream.ts'

export type LivePhase = 'waiting' | 'opening' | 'running' | 'closing' | 'ended'

/** Guess: a pace that is too slow for so many samples, one a second, is no hiccup. */
const RISK_SAMPLES_MIN = 10

export class LiveBatch {
  batch: Batch
  readonly policy: WindowPolicy
  phase: LivePhase = 'waiting'
  file: StoredFile | null = null
  reader: LineReader | null = null
  lanes: Lane[] = []
  /** Bit set: the line's end has been handed to the result log. */
  recorded: Uint8Array = new Uint8Array(0)
  recordedLines = 0
  /** Durable. */
  tally: Tally
  readonly calls = new Bag<RunningCall>()
  readonly pace = new Pace()
  isOutputRevealed: boolean
  /** Samples in a row by which the deadline will pass first. */
  #riskSamples = 0
  /** The stored tally is behind `tally`. */
  isTallyDirty = false
  /** Last thing that held a line of it up, shown while nothing is in flight. */
  holdReason: string | null = null
  /** Called when the last call in flight is back. */
  onIdle: (() => void) | null = null

  constructor(batch: Batch, policy: WindowPolicy) {
    this.batch = batch
    this.policy = policy
    this.tally = { ...batch.tally }
    this.isOutputRevealed = batch.outputFileId !== null
  }

  get linesLeft(): number {
    return this.batch.linesTotal - this.recordedLines
  }

  /** @returns whether this sample is the one with which it is clear that the deadline will pass first: true once */
  noteEta(etaAt: number | null): boolean {
    const isLate = etaAt !== null && etaAt > this.batch.expiresAt
    if (this.#riskSamples >= RISK_SAMPLES_MIN) return false
    this.#riskSamples = isLate ? this.#riskSamples + 1 : 0
    return this.#riskSamples >= RISK_SAMPLES_MIN
  }
}

/** Lanes of an opened batch: one for each model of its file, in the order of its plan. */
export function lanesOf(
  live: LiveBatch,
  hooks: { clock: Clock; onReady: (model: string) => void; onTrouble: (cause: unknown) => void },
): Lane[] {
  const shares = live.file?.inspection?.models ?? []
  const { reader, batch } = live
  if (reader === null) return []
  let from = 0
  return shares.map(({ model, lines }) => {
    const places = { from, to: from + lines }
    from = places.to
    return new Lane({
      batchId: batch.id,
      tenantId: batch.tenantId,
      seq: batch.seq,
      deadlineAt: batch.expiresAt,
      model,
      places,
      hasPlan: shares.length > 1,
      recorded: live.recorded,
      reader,
      clock: hooks.clock,
      onReady: () => hooks.onReady(model),
      onTrouble: hooks.onTrouble,
    })
  })
}
