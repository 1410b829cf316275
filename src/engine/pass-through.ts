/**
 * Realtime calls: bytes in, the same bytes to an upstream that serves the model, its answer back as it comes. Each takes the next free
 * permit before any line of a batch. Memory only: a call lives as long as its caller's connection, and nothing of it is recorded.
 *
 *   waiting   no permit is free: it stands in the queue of its model, bounded in number and time
 *   running   it holds a permit until its answer has ended or its caller hung up
 */
import type { Readable } from 'node:stream'
import {
  QUOTED_CHARACTERS_MAX,
  REALTIME_CONNECTS_MAX,
  REALTIME_WAIT_MS_MAX,
  REALTIME_WAITING_MAX,
} from '../domain/limits.ts'
import type { CallFailure } from '../domain/retry.ts'
import type { Clock } from '../lib/clock.ts'
import { RefusedError, unreachable } from '../lib/errors.ts'
import { type AnswerHead, PassThroughCall } from './pass-through-call.ts'
import type { LineCallEnd, Upstream } from './upstream.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'

export type PassThroughRequest = {
  /** As the caller named it, for example `/v1/chat/completions`. */
  endpoint: string
  model: string
  body: Uint8Array
  requestId: string
  /** Aborts when the caller has gone. */
  signal: AbortSignal
}

export type PassThroughAnswer = {
  status: number
  headers: Record<string, string>
  /** Of a success the bytes as they come; of anything else all of them. */
  body: Readable | Uint8Array
}

/** No answer came from an upstream, and the fault is none of the caller's. */
export class UpstreamError extends Error {
  readonly status: 502 | 503 | 504
  readonly code: string

  constructor(status: 502 | 503 | 504, code: string, message: string) {
    super(message)
    this.name = 'UpstreamError'
    this.status = status
    this.code = code
  }
}

type Waiting = { start: (upstream: Upstream) => void; fail: (thrown: Error) => void }

export class PassThrough {
  /** Calls that went out since the start. */
  started = 0
  readonly #queues = new Map<string, Set<Waiting>>()
  readonly #parts: PassThroughParts
  #waiting = 0

  constructor(parts: PassThroughParts) {
    this.#parts = parts
  }

  /** Calls without a permit. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Resolves with the head of the answer, or all of one that is no success.
   * @throws RefusedError `model_not_found`, `realtime_queue_full`, `caller_gone`; UpstreamError
   */
  async call(request: PassThroughRequest): Promise<PassThroughAnswer> {
    const { upstreams } = this.#parts
    if (upstreams.outlook(request.model) !== 'served') await upstreams.firstModels()
    for (let connects = 1; ; connects += 1) {
      this.#requireHope(request.model)
      const ended = await this.#attempt(request)
      if ('answer' in ended) return ended.answer
      // Nothing was sent, so that another upstream may be asked in its place.
      const mayTryAnother = ended.failure === 'connect' && connects < REALTIME_CONNECTS_MAX
      if (!mayTryAnother || upstreams.outlook(request.model) !== 'served') throw ended.error
    }
  }

  /** Gives free permits of the model to those who wait for it, the first come first. */
  serve(model: string): void {
    const queue = this.#queues.get(model)
    if (queue === undefined) return
    for (const waiting of queue) {
      const upstream = this.#parts.upstreams.pick(model)
      if (upstream === null) break
      waiting.start(upstream)
    }
    if (queue.size === 0 || this.#parts.upstreams.outlook(model) === 'served') return
    for (const waiting of queue) waiting.fail(this.#hopeless(model))
  }

  serveAll(): void {
    for (const model of this.#queues.keys()) this.serve(model)
  }

  #requireHope(model: string): void {
    if (this.#parts.upstreams.outlook(model) !== 'served') throw this.#hopeless(model)
  }

  #hopeless(model: string): Error {
    const shown = quoted(model)
    if (this.#parts.upstreams.outlook(model) === 'unknown') {
      const message = `The model '${shown}' does not exist: no upstream of this server lists it.`
      return new RefusedError('model_not_found', message, { status: 404, param: 'model' })
    }
    const reason = this.#parts.upstreams.reasonFor(model)?.replace(/^waiting: /, '') ?? 'it is paused'
    return new UpstreamError(
      503,
      'upstream_unavailable',
      `No upstream answers for '${shown}' now: ${reason}.`,
    )
  }

  /** One call, once there is a permit for it. It begins in the very turn in which the permit was found free. */
  #attempt(request: PassThroughRequest): Promise<Ended> {
    const { promise, resolve, reject } = Promise.withResolvers<Ended>()
    const { signal } = request
    if (signal.aborted) throw callerGone()
    const upstream = this.#queues.has(request.model) ? null : this.#parts.upstreams.pick(request.model)
    if (upstream === null)
      this.#wait(request, { start: (free) => this.#start(request, free, resolve), fail: reject })
    else this.#start(request, upstream, resolve)
    return promise
  }

  #wait(request: PassThroughRequest, then: Waiting): void {
    const { model, signal } = request
    if (this.#waiting >= REALTIME_WAITING_MAX) {
      const message = `${REALTIME_WAITING_MAX} realtime calls wait for a free place already, the most this server holds. Try again shortly.`
      throw new RefusedError('realtime_queue_full', message, { status: 429 })
    }
    const queue = this.#queues.get(model) ?? new Set()
    this.#queues.set(model, queue)
    const leave = (): void => {
      if (!queue.delete(waiting)) return
      this.#waiting -= 1
      if (queue.size === 0) this.#queues.delete(model)
      cancelLimit()
      signal.removeEventListener('abort', onGone)
    }
    const waiting: Waiting = {
      start: (upstream) => {
        leave()
        then.start(upstream)
      },
      fail: (thrown) => {
        leave()
        then.fail(thrown)
      },
    }
    const onGone = (): void => waiting.fail(callerGone())
    const cancelLimit = this.#parts.clock.after(REALTIME_WAIT_MS_MAX, () => waiting.fail(tooBusy(model)))
    signal.addEventListener('abort', onGone, { once: true })
    queue.add(waiting)
    this.#waiting += 1
  }

  #start(request: PassThroughRequest, upstream: Upstream, end: (ended: Ended) => void): void {
    const { model, endpoint, body, requestId, signal } = request
    const { name } = upstream.settings
    let head: AnswerHead | null = null
    let failure: CallFailure | null = null
    this.started += 1
    const call = upstream.call(
      // One caller who sends the same bad request again and again does not pause the engine for all others.
      { model, endpoint, body, requestId, idempotencyKey: requestId, doubtedAt: null, isSuspect: true },
      (ended) => {
        signal.removeEventListener('abort', onGone)
        end(endOf(ended, { head, failure, name }))
        this.#parts.onEnd(model, upstream)
      },
      (options, onEnd) =>
        new PassThroughCall(options, onEnd, {
          onHead: (arrived) => {
            head = arrived
            const { status, body: bytes } = arrived
            if (bytes !== null) end({ answer: { status, headers: headersOf(arrived, name), body: bytes } })
          },
          onEnding: (what) => {
            failure = what
          },
        }),
    )
    const onGone = (): void => call.cut('the caller hung up')
    signal.addEventListener('abort', onGone, { once: true })
  }
}

export type PassThroughParts = {
  upstreams: UpstreamRegistry
  clock: Clock
  /** A permit of the upstream for the model is free again. */
  onEnd: (model: string, upstream: Upstream) => void
}

type Ended = { answer: PassThroughAnswer } | { error: Error; failure: CallFailure }

/** For a call whose answer was handed on nobody listens any more: its reader saw the end. */
function endOf(
  ended: LineCallEnd,
  facts: { head: AnswerHead | null; failure: CallFailure | null; name: string },
): Ended {
  const { head, failure, name } = facts
  if (head !== null && ended.answer !== null)
    return { answer: { status: head.status, headers: headersOf(head, name), body: ended.answer.body } }
  return { error: errorOf(failure ?? 'reset', ended.reason), failure: failure ?? 'reset' }
}

function errorOf(failure: CallFailure, reason: string): Error {
  switch (failure) {
    case 'cut':
      return callerGone()
    case 'connect':
      return new UpstreamError(502, 'upstream_unreachable', `The upstream cannot be reached: ${reason}.`)
    case 'stall':
      return new UpstreamError(504, 'upstream_timeout', `The upstream fell silent: ${reason}.`)
    case 'reset':
    case 'answer_too_large':
      return new UpstreamError(502, 'upstream_failed', `The upstream broke off: ${reason}.`)
    default:
      return unreachable(failure)
  }
}

function callerGone(): RefusedError {
  return new RefusedError('caller_gone', 'The caller hung up before there was an answer.', { status: 499 })
}

function tooBusy(model: string): UpstreamError {
  const message = `No place for '${quoted(model)}' became free within ${REALTIME_WAIT_MS_MAX / 1000} s. Try again later.`
  return new UpstreamError(503, 'realtime_busy', message)
}

/** What an upstream says of its answer, and nothing of its connection, its account or its other callers. */
const HEADERS_KEPT = [
  'content-type',
  'content-encoding',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'x-dw-simulated',
] as const

function headersOf({ headers, body }: AnswerHead, name: string): Record<string, string> {
  // Where the key was taken out of an error, its length is another.
  const names = body === null ? HEADERS_KEPT : [...HEADERS_KEPT, 'content-length']
  const kept = names.flatMap((header) => {
    const value = headers[header]
    const text = Array.isArray(value) ? value[0] : value
    return text === undefined ? [] : [[header, text] as const]
  })
  return { ...Object.fromEntries(kept), 'dw-upstream': name }
}

/** Names come from strangers: shown short and on one line. */
function quoted(model: string): string {
  return model.replaceAll(/\p{Cc}/gu, '?').slice(0, QUOTED_CHARACTERS_MAX)
}
