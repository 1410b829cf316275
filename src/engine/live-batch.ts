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
import type { Lane } from './lane.ts'
import type { LineReader } from './line-reader.ts'
import { Pace } from './pace.ts'
import type { RunningCall } from './upstream.ts'

export type LivePhase = 'waiting' | 'opening' | 'running' | 'closing' | 'ended'

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
}
