/**
 * The engine of one process that holds every batch itself. A crash leaves nothing of it behind: the store knows which batches
 * are live, the result log which lines have their record; calls that were in flight run again.
 */
import type { Blobs } from '../blobs/blobs.ts'
import { isEnded, recordedLines } from '../domain/batch.ts'
import type { ServerConfig, UpstreamConfig } from '../domain/config.ts'
import type { LiveState } from '../domain/figures.ts'
import { ACTIVE_BATCHES_MAX, BATCH_LIST_MAX } from '../domain/limits.ts'
import { defaultWindows } from '../domain/window.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf, TroubleError, unreachable } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { DurableMark, ResultLog } from '../results/result-log.ts'
import type { Batch, Store } from '../store/store.ts'
import { type CloserParts, cancel, complete, expire, resultFile } from './closer.ts'
import { Dispatcher } from './dispatcher.ts'
import type { Engine } from './engine.ts'
import { LiveBatch, lanesOf } from './live-batch.ts'
import { openBatch } from './opening.ts'
import type { PassThrough } from './pass-through.ts'
import { Recorder } from './recorder.ts'
import type { EngineCounters } from './service.ts'
import { Steps } from './steps.ts'
import { type KeyFiles, UpstreamRegistry } from './upstream-registry.ts'

export type EngineParts = {
  store: Store
  blobs: Blobs
  results: ResultLog & { syncTimes(): { p50Ms: number; p99Ms: number; syncs: number } }
  clock: Clock
  random: Random
  config: ServerConfig
  keyFiles: KeyFiles
  /** Upstreams that the configuration names, and the simulated model when it is on. */
  fixedUpstreams: readonly UpstreamConfig[]
  /** Free bytes on the disk of the data folder. */
  freeBytes: () => number
  /** Something was stored that webhooks are to be told of. */
  onAnnounced: () => void
  /** Something went wrong that no caller waits for. */
  onTrouble: (what: string, cause: unknown) => void
}

/** How often counters go to the store and rates are sampled. */
const TICK_MS = 1_000
/** Guess: time for batches that are being opened to look at their deadline themselves. */
const DEADLINE_AGAIN_MS = 1_000
/** Guess: a start waits no longer for batches whose disk or database gives trouble. */
const START_OPEN_MS_MAX = 5_000

export function createEngine(parts: EngineParts): Engine {
  return new LocalEngine(parts)
}

class LocalEngine implements Engine {
  readonly upstreams: UpstreamRegistry
  readonly passThrough: PassThrough
  readonly #parts: EngineParts
  readonly #live = new Map<string, LiveBatch>()
  readonly #bySeq = new Map<number, LiveBatch>()
  readonly #dispatcher: Dispatcher
  readonly #recorder: Recorder
  readonly #closerParts: CloserParts
  readonly #steps: Steps
  #blockedReason: string | null = null
  #isLowOnSpace = false
  #isStopping = false
  #cancelTick: (() => void) | null = null
  #cancelDeadline: (() => void) | null = null

  constructor(parts: EngineParts) {
    this.#parts = parts
    this.#steps = new Steps(parts.clock, parts.onTrouble)
    const { store, blobs, results, clock, random, config } = parts
    const onAllRecorded = (live: LiveBatch): void => this.#onAllRecorded(live)
    this.#recorder = new Recorder({ results, clock, onAllRecorded })
    this.upstreams = new UpstreamRegistry({
      store: store.upstreams,
      keyFiles: parts.keyFiles,
      clock,
      random,
      config,
      onChange: () => this.#dispatcher.wakeAll(),
    })
    this.#dispatcher = new Dispatcher({
      upstreams: this.upstreams,
      recorder: this.#recorder,
      clock,
      random,
      config,
      diskReason: () => this.#diskReason(),
      oldestUnsyncedAt: () => results.oldestUnsyncedAt(),
    })
    this.passThrough = this.#dispatcher.passThrough
    const cancelGraceMs = config.timing.cancelGraceMs
    this.#closerParts = { store, blobs, results, recorder: this.#recorder, clock, cancelGraceMs }
    results.onDurable((marks) => this.#onDurable(marks))
    results.onBlocked((reason) => {
      this.#blockedReason = reason
      if (reason === null) this.#dispatcher.wakeAll()
    })
  }

  async start(): Promise<void> {
    await this.upstreams.start(this.#parts.fixedUpstreams)
    let after = 0
    for (;;) {
      const page = await this.#parts.store.batches.live({ after, limit: BATCH_LIST_MAX })
      for (const batch of page) this.#admit(batch)
      const last = page.at(-1)
      if (last === undefined || page.length < BATCH_LIST_MAX) break
      after = last.seq
    }
    const begun = [...this.#bySeq.values()].filter(({ batch }) => batch.status !== 'validating')
    await this.#parts.results.retain(new Set(begun.map(({ batch }) => batch.seq)))
    this.#fillUp()
    this.#armDeadline()
    this.#armTick()
    // Until a batch is open again, its counters are those of the last second before the stop: less than was shown then.
    await this.#steps.settled(START_OPEN_MS_MAX)
  }

  wake(batchId: string): void {
    this.#steps.run(`wake ${batchId}`, async () => {
      const batch = await this.#parts.store.batches.get(batchId, null)
      if (batch === null || isEnded(batch.status)) return
      this.#admit(batch)
      this.#armDeadline()
      const live = this.#live.get(batchId)
      if (live === undefined) return
      if (batch.status === 'cancelling' && live.phase === 'running') this.#close(live, 'cancel')
      else this.#fillUp()
    })
  }

  tally(batchId: string) {
    return this.#live.get(batchId)?.tally ?? null
  }

  live(batchId: string): LiveState | null {
    const live = this.#live.get(batchId)
    if (live === undefined) return null
    const rates = live.pace.rates()
    const leftLines = live.batch.linesTotal - recordedLines(live.tally)
    const remainingMs = live.batch.linesTotal === 0 ? null : live.pace.remainingMs(leftLines)
    return {
      reason: this.#reasonOf(live),
      inFlight: live.calls.size,
      requestsPerSecond: rates?.linesPerSecond ?? null,
      tokensPerSecond: rates?.tokensPerSecond ?? null,
      etaAt: remainingMs === null ? null : Math.ceil(this.#parts.clock.now() + remainingMs),
    }
  }

  models() {
    return this.upstreams.models()
  }

  counters(): EngineCounters {
    const { p50Ms, p99Ms, syncs } = this.#parts.results.syncTimes()
    return {
      requestsRecorded: { ...this.#recorder.ends },
      callsStarted: this.#dispatcher.callsStarted,
      callsRetried: this.#dispatcher.callsRetried,
      inFlight: this.#dispatcher.inFlight,
      realtimeStarted: this.passThrough.started,
      realtimeWaiting: this.passThrough.waiting,
      liveBatches: this.#live.size,
      syncs,
      syncP50Ms: p50Ms,
      syncP99Ms: p99Ms,
    }
  }

  checkReady(): void {
    const reason = this.#diskReason()
    if (reason !== null) throw new TroubleError('disk_full', reason)
    if (this.#isStopping) throw new TroubleError('stopped', 'the server is stopping')
  }

  async stop(): Promise<{ unfinishedBatches: number }> {
    this.#isStopping = true
    this.#dispatcher.stop()
    this.#cancelTick?.()
    this.#cancelDeadline?.()
    await this.#dispatcher.drain(this.#parts.config.timing.drainMs)
    await this.upstreams.stop()
    await this.#steps.stop()
    await this.#storeTallies()
    return { unfinishedBatches: this.#live.size }
  }

  /** Takes a live batch into memory, once. */
  #admit(batch: Batch): void {
    const known = this.#live.get(batch.id)
    if (known !== undefined) {
      known.batch = { ...batch, linesTotal: Math.max(batch.linesTotal, known.batch.linesTotal) }
      return
    }
    if (batch.haltReason !== null) return
    const policy = this.#parts.config.windows.find(({ window }) => window === batch.window)
    const live = new LiveBatch(
      batch,
      policy ?? { window: batch.window, atDeadline: defaultWindows[0]?.atDeadline ?? 'expire' },
    )
    this.#live.set(batch.id, live)
    this.#bySeq.set(batch.seq, live)
  }

  /** Opens waiting batches, the earliest deadline first, up to the bound. Those that were open before, or must end, always are. */
  #fillUp(): void {
    let active = 0
    const waiting: LiveBatch[] = []
    for (const live of this.#live.values()) {
      if (live.phase === 'waiting') waiting.push(live)
      else active += 1
    }
    waiting.sort((a, b) => a.batch.expiresAt - b.batch.expiresAt || a.batch.seq - b.batch.seq)
    const now = this.#parts.clock.now()
    for (const live of waiting) {
      const wasOpen = live.batch.status !== 'validating'
      const isDue = live.batch.expiresAt <= now
      if (!wasOpen && !isDue && active >= ACTIVE_BATCHES_MAX) continue
      active += 1
      live.phase = 'opening'
      this.#steps.run(`open ${live.batch.id}`, () => this.#open(live))
    }
  }

  async #open(live: LiveBatch): Promise<void> {
    const opened = await openBatch(live, {
      ...this.#parts,
      isUnknownModel: (model) => this.upstreams.isUnknownModel(model),
    })
    switch (opened.kind) {
      case 'opened':
        return this.#run(live)
      case 'ended':
        return this.#forget(live)
      case 'overtaken':
        this.#forget(live)
        return this.wake(live.batch.id)
      case 'damaged':
        return this.#halt(live, opened.reason)
      case 'held':
        return
      default:
        unreachable(opened)
    }
  }

  #run(live: LiveBatch): void {
    live.phase = 'running'
    const { status, endsAs } = live.batch
    if (status === 'cancelling') return this.#close(live, 'cancel')
    if (status === 'finalizing' && endsAs === 'expired') return this.#close(live, 'expire')
    if (live.recordedLines === live.batch.linesTotal) return this.#close(live, 'complete')
    if (this.#isDue(live)) return this.#close(live, 'expire')
    live.lanes = lanesOf(live, {
      clock: this.#parts.clock,
      onReady: (model) => this.#dispatcher.wake(model),
      onTrouble: (cause) =>
        this.#steps.run(`halt ${live.batch.id}`, () => this.#halt(live, messageOf(cause))),
    })
    this.#dispatcher.addLanes(live)
  }

  #onAllRecorded(live: LiveBatch): void {
    if (live.phase === 'running') this.#close(live, 'complete')
  }

  #close(live: LiveBatch, how: 'complete' | 'expire' | 'cancel'): void {
    if (live.phase !== 'running') return
    live.phase = 'closing'
    this.#dispatcher.removeLanes(live)
    const close = { complete, expire, cancel }[how]
    this.#steps.run(`${how} ${live.batch.id}`, async () => {
      await close(live, this.#closerParts)
      this.#forget(live)
      this.#fillUp()
    })
  }

  #isDue(live: LiveBatch): boolean {
    return live.policy.atDeadline === 'expire' && live.batch.expiresAt <= this.#parts.clock.now()
  }

  async #halt(live: LiveBatch, reason: string): Promise<void> {
    this.#dispatcher.removeLanes(live)
    for (const call of live.calls.items()) call.cut('the batch was halted')
    await this.#parts.store.batches.halt(live.batch.id, reason)
    this.#forget(live)
  }

  #forget(live: LiveBatch): void {
    live.phase = 'ended'
    this.#live.delete(live.batch.id)
    this.#bySeq.delete(live.batch.seq)
    this.#parts.results.release(live.batch.seq)
    // Mostly because it has ended; a hint too many costs one look.
    this.#parts.onAnnounced()
  }

  #onDurable(marks: readonly DurableMark[]): void {
    for (const mark of marks) {
      const live = this.#bySeq.get(mark.seq)
      if (live === undefined) continue
      live.tally = mark.tally
      live.isTallyDirty = true
      if (live.isOutputRevealed || mark.tally.completed === 0) continue
      live.isOutputRevealed = true
      const file = resultFile(live.batch, 'output', mark.tally, this.#parts.clock.now())
      this.#steps.run(`reveal ${live.batch.id}`, () =>
        this.#parts.store.batches.revealOutput(live.batch.id, file),
      )
    }
    this.#dispatcher.wakeIfHeld()
  }

  #armTick(): void {
    this.#cancelTick = this.#parts.clock.after(TICK_MS, () => {
      this.#sample()
      this.#steps.run('store counters', () => this.#storeTallies())
      if (!this.#isStopping) this.#armTick()
    })
  }

  #sample(): void {
    const now = this.#parts.clock.monotonicMs()
    for (const live of this.#live.values()) {
      if (live.phase !== 'running') continue
      const tokens = live.tally.promptTokens + live.tally.completionTokens
      live.pace.sample(now, { lines: recordedLines(live.tally), tokens })
      if (live.noteEta(this.live(live.batch.id)?.etaAt ?? null)) this.#warnOf(live)
    }
    const wasLow = this.#isLowOnSpace
    this.#isLowOnSpace = this.#parts.freeBytes() < this.#parts.config.limits.dispatchFreeBytesMin
    if (wasLow && !this.#isLowOnSpace) this.#dispatcher.wakeAll()
  }

  #warnOf(live: LiveBatch): void {
    this.#steps.run(`warn of ${live.batch.id}`, async () => {
      const { store, clock } = this.#parts
      await store.webhooks.announce(live.batch.id, 'batch.at_risk', clock.now())
      this.#parts.onAnnounced()
    })
  }

  async #storeTallies(): Promise<void> {
    const dirty = [...this.#live.values()].filter((live) => live.isTallyDirty)
    if (dirty.length === 0) return
    for (const live of dirty) live.isTallyDirty = false
    await this.#parts.store.batches.storeTally(
      dirty.map((live) => ({ id: live.batch.id, tally: live.tally })),
    )
  }

  /** One timer for the earliest deadline. */
  #armDeadline(): void {
    this.#cancelDeadline?.()
    const due = [...this.#live.values()].filter(
      (live) => live.policy.atDeadline === 'expire' && (live.phase === 'waiting' || live.phase === 'running'),
    )
    const first = due.reduce(
      (earliest, live) => Math.min(earliest, live.batch.expiresAt),
      Number.POSITIVE_INFINITY,
    )
    if (!Number.isFinite(first) || this.#isStopping) return
    this.#cancelDeadline = this.#parts.clock.after(Math.max(0, first - this.#parts.clock.now()), () => {
      for (const live of this.#live.values()) {
        if (live.phase === 'running' && this.#isDue(live)) this.#close(live, 'expire')
      }
      this.#fillUp()
      // Batches that are being opened look at their deadline themselves; no timer may spin on them meanwhile.
      this.#cancelDeadline = this.#parts.clock.after(DEADLINE_AGAIN_MS, () => this.#armDeadline())
    })
  }

  #diskReason(): string | null {
    if (this.#blockedReason !== null) return `waiting: ${this.#blockedReason}`
    return this.#isLowOnSpace ? 'waiting: the disk of the data folder is nearly full' : null
  }

  #reasonOf(live: LiveBatch): string | null {
    if (live.phase === 'closing') return null
    const held = this.#dispatcher.holdReason()
    if (held !== null) return held
    for (const lane of live.lanes) {
      if (lane.linesLeft <= 0) continue
      const reason = this.upstreams.reasonFor(lane.options.model)
      if (reason !== null) return reason
    }
    if (live.calls.size > 0 || live.holdReason === null) return null
    return `waiting: ${live.holdReason}`
  }
}
