/**
 * Starts a call whenever a slot is free, an upstream takes the model and a line is ready. Nothing here polls: a call's end, a
 * line read from disk, an upstream that recovers and a finished sync each wake it.
 *
 * Nothing starts while the disk is blocked or the oldest unsynced answer is too old: what is in flight stays bounded by permits,
 * what is unsynced by time.
 */
import type { ServerConfig } from '../domain/config.ts'
import { lineHash } from '../domain/ids.ts'
import { UNSYNCED_MS_MAX } from '../domain/limits.ts'
import { retryDelayMs } from '../domain/retry.ts'
import type { Clock } from '../lib/clock.ts'
import { assert, unreachable } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { Lane, LineRequest } from './lane.ts'
import type { LiveBatch } from './live-batch.ts'
import { ModelQueue } from './model-queue.ts'
import { PassThrough } from './pass-through.ts'
import type { Recorder } from './recorder.ts'
import type { LineCallEnd, Upstream } from './upstream.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'

/** Guess: lines handed to the log as `model_not_found` before the event loop gets a turn. */
const UNKNOWN_MODEL_LINES_MAX = 64

export class Dispatcher {
  callsStarted = 0
  callsRetried = 0
  /** Callers who sit and wait: served before any line. */
  readonly passThrough: PassThrough
  readonly #queues = new Map<string, ModelQueue>()
  readonly #batches = new Map<Lane, LiveBatch>()
  readonly #parts: DispatcherParts
  readonly #requestIdPrefix: string
  #isStopped = false
  #isHeld = false
  #trials = 0
  #onDrained: (() => void) | null = null

  constructor(parts: DispatcherParts) {
    this.#parts = parts
    this.passThrough = new PassThrough({
      ...parts,
      onEnd: (model, upstream) => {
        // A trial that was cut has decided nothing: whoever comes next makes it, whatever the model.
        if (upstream.isOnTrial) this.wakeAll()
        else this.wake(model)
        if (this.#onDrained !== null && this.inFlight === 0) this.#onDrained()
      },
    })
    this.#requestIdPrefix = `req_${Buffer.from(parts.random.bytes(10)).toString('hex')}`
  }

  get inFlight(): number {
    return this.#parts.upstreams.inFlight
  }

  addLanes(live: LiveBatch): void {
    for (const lane of live.lanes) {
      this.#batches.set(lane, live)
      this.#queueOf(lane.options.model).add(lane)
    }
    for (const lane of live.lanes) this.wake(lane.options.model)
  }

  removeLanes(live: LiveBatch): void {
    for (const lane of live.lanes) {
      lane.close()
      this.#batches.delete(lane)
      const queue = this.#queues.get(lane.options.model)
      queue?.remove(lane)
      if (queue?.isEmpty === true) this.#queues.delete(lane.options.model)
    }
  }

  /** Starts no further call. */
  stop(): void {
    this.#isStopped = true
  }

  /** Resolves when no call is in flight, or after `drainMs`. Call after `stop`. */
  drain(drainMs: number): Promise<void> {
    if (this.inFlight === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const cancelLimit = this.#parts.clock.after(drainMs, resolve)
      this.#onDrained = () => {
        cancelLimit()
        resolve()
      }
    })
  }

  wakeAll(): void {
    if (this.passThrough.waiting > 0) this.passThrough.serveAll()
    // When one call decides over an upstream, the model whose last trial is longest ago makes it.
    const queues = [...this.#queues.values()].toSorted((a, b) => a.lastTrial - b.lastTrial)
    for (const { model } of queues) this.wake(model)
  }

  /** Starts calls for the model while slots and lines last. */
  wake(model: string): void {
    if (this.passThrough.waiting > 0) this.passThrough.serve(model)
    const queue = this.#queues.get(model)
    if (queue === undefined || this.#isStopped) return
    queue.loadAhead()
    if (this.#mustHold()) return
    for (;;) {
      const upstream = this.#parts.upstreams.pick(model)
      if (upstream === null) {
        if (this.#parts.upstreams.isUnknownModel(model)) this.#failUnknown(queue)
        return
      }
      const lane = upstream.isOnTrial ? queue.pickForTrial() : queue.pick(this.#parts.clock.now())
      if (lane === null) return
      this.#start(queue, lane, upstream)
      if (lane.canLoad) queue.loadAhead()
    }
  }

  /** Why the dispatcher sends nothing at all, or null. */
  holdReason(): string | null {
    if (this.#isStopped) return 'the server is stopping'
    return this.#parts.diskReason()
  }

  #mustHold(): boolean {
    if (this.#parts.diskReason() !== null) return true
    const oldest = this.#parts.oldestUnsyncedAt()
    this.#isHeld = oldest !== null && this.#parts.clock.monotonicMs() - oldest > UNSYNCED_MS_MAX
    return this.#isHeld
  }

  /** After every sync: goes on if the last look found too old an answer. */
  wakeIfHeld(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.wakeAll()
  }

  #start(queue: ModelQueue, lane: Lane, upstream: Upstream): void {
    const live = this.#batches.get(lane)
    const request = lane.take({ prefersFresh: upstream.isOnTrial })
    assert(live !== undefined && live.file !== null, 'a lane in a queue belongs to an open batch')
    queue.noteStart(lane)
    if (upstream.isOnTrial) {
      this.#trials += 1
      queue.noteTrial(lane, this.#trials)
    }
    this.callsStarted += 1
    if (request.calls > 0) this.callsRetried += 1
    request.calls += 1
    request.startedAt ??= this.#parts.clock.now()
    const hash = lineHash(live.batch.id, request.lineIndex)
    const requestId = `${this.#requestIdPrefix}${this.callsStarted.toString(16).padStart(12, '0')}`
    const call = upstream.call(
      {
        model: lane.options.model,
        endpoint: live.file.inspection?.endpoints[request.endpointNumber] ?? live.batch.endpoint,
        body: request.body,
        idempotencyKey: hash,
        requestId,
        doubtedAt: request.doubtedAt,
        isSuspect: request.failures > 0,
      },
      (end) => {
        live.calls.remove(slot)
        queue.noteEnd(lane, this.#parts.clock.now())
        this.#finish({ live, lane, request, hash, requestId, upstream }, end)
        if (queue.isEmpty) this.#queues.delete(lane.options.model)
        this.wake(lane.options.model)
        if (live.calls.size === 0) live.onIdle?.()
        if (this.#onDrained !== null && this.inFlight === 0) this.#onDrained()
      },
    )
    const slot = live.calls.add(call)
  }

  #finish(started: StartedCall, end: LineCallEnd): void {
    const { live, lane, request } = started
    const isClosing = live.phase !== 'running'
    switch (end.verdict) {
      case 'succeeded':
      case 'refused':
        live.holdReason = null
        return this.#parts.recorder.recordAnswer(started, end)
      case 'upstream':
      case 'capacity':
        live.holdReason = end.reason
        if (!isClosing) lane.putBack(request, 0)
        return
      case 'doubtful': {
        live.holdReason = end.reason
        if (isClosing) return
        request.doubtedAt ??= end.startedAt
        if (end.usesAttempt) request.failures += 1
        if (request.failures >= this.#parts.config.limits.attemptsMax) {
          return this.#parts.recorder.recordAnswer(started, end)
        }
        return lane.putBack(request, this.#delayOf(request))
      }
      default:
        unreachable(end.verdict)
    }
  }

  #delayOf(request: LineRequest): number {
    return retryDelayMs(Math.max(1, request.failures), {
      firstMs: this.#parts.config.timing.retryDelayMs,
      delayMsMax: this.#parts.config.timing.retryDelayMsMax,
      draw: this.#parts.random.float(),
    })
  }

  /** Every upstream has told its models and none ever had this one: its lines fail, a few per turn of the event loop. */
  #failUnknown(queue: ModelQueue): void {
    for (let count = 0; count < UNKNOWN_MODEL_LINES_MAX; count += 1) {
      const lane = queue.pick(this.#parts.clock.now())
      const live = lane === null ? undefined : this.#batches.get(lane)
      if (lane === null || live === undefined) return
      this.#parts.recorder.recordUnanswered(live, lane.take({ prefersFresh: false }), {
        outcome: 'failed',
        code: 'model_not_found',
        message: `The model '${queue.model}' does not exist: no upstream of this server lists it.`,
      })
      lane.linesLeft -= 1
    }
    setImmediate(() => this.wake(queue.model))
  }

  #queueOf(model: string): ModelQueue {
    let queue = this.#queues.get(model)
    if (queue === undefined) {
      queue = new ModelQueue(model, this.#parts.clock.now())
      this.#queues.set(model, queue)
    }
    return queue
  }
}

export type StartedCall = {
  live: LiveBatch
  lane: Lane
  request: LineRequest
  hash: string
  requestId: string
  upstream: Upstream
}

export type DispatcherParts = {
  upstreams: UpstreamRegistry
  recorder: Recorder
  clock: Clock
  random: Random
  config: ServerConfig
  /** Why the disk takes nothing, or null. */
  diskReason: () => string | null
  oldestUnsyncedAt: () => number | null
}
