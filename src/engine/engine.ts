/**
 * The engine: runs the lines of live batches against the upstreams and records every end exactly once.
 * Hints wake it; what it does follows from the store and the result log alone, so a lost hint costs time, never truth.
 */
import type { Tally } from '../domain/batch.ts'
import type { LiveState } from '../domain/figures.ts'
import type { PassThrough } from './pass-through.ts'
import type { EngineCounters, NewUpstream, ServedModel, UpstreamState } from './service.ts'

export interface Engine {
  /** Recovers every live batch and begins to work. */
  start(): Promise<void>
  /** A batch was created or its row moved. */
  wake(batchId: string): void
  /** Durable tally of a batch that is live here; null for any other. */
  tally(batchId: string): Tally | null
  live(batchId: string): LiveState | null
  models(): ServedModel[]
  readonly upstreams: UpstreamAdmin
  readonly passThrough: Pick<PassThrough, 'call'>
  counters(): EngineCounters
  /** @throws TroubleError with what keeps the engine from working */
  checkReady(): void
  /** Starts no further call, waits up to `drainMs` for those in flight, makes all answers durable. */
  stop(): Promise<{ unfinishedBatches: number }>
}

export interface UpstreamAdmin {
  list(): UpstreamState[]
  add(request: NewUpstream): Promise<UpstreamState>
  remove(name: string): Promise<boolean>
  /** Asks for the models now. */
  test(name: string): Promise<UpstreamState | null>
}
