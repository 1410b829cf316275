/**
 * One engine behind us: its models, its health, its permits.
 *
 *   up      calls go out as permits allow
 *   paused  a fault of the engine or of the way to it: nothing goes out, one probe at a time asks for the models, ever less often
 *   trial   the probe was answered: one single call goes out; its end decides between up and paused
 *
 * All of it is memory: after a restart the first probe finds out again.
 */
import { CONNECT_MS_MAX, PERMITS_KEPT_MAX } from '../domain/limits.ts'
import { freePermits, newPermits, noteBusy, noteSuccess, type Permits } from '../domain/permits.ts'
import { judge, retryAfterMs, retryDelayMs, type Verdict } from '../domain/retry.ts'
import { Bag } from '../lib/bag.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { type InspectedAnswer, inspectAnswer } from './answer.ts'
import {
  type CallEnd,
  type CallHeaders,
  type Connections,
  type MakeCall,
  type OutgoingCall,
  openConnections,
} from './upstream-connection.ts'
import { fetchModels, listedName } from './upstream-models.ts'

export type UpstreamSettings = {
  name: string
  /** Base URL up to and including `/v1`, without a trailing slash. */
  url: string
  key: string | null
  concurrency: number
  /** Position in the server's list, for records. */
  number: number
  createdAt: number
}

export type UpstreamTiming = {
  stallMs: number
  retryDelayMs: number
  retryDelayMsMax: number
  answerBytesMax: number
}

export type LineCall = {
  model: string
  /** As in the request line, for example `/v1/chat/completions`. */
  endpoint: string
  body: Uint8Array
  idempotencyKey: string
  requestId: string
  /** Monotonic ms at which its first call began that ended in doubt; null when none did. */
  doubtedAt: number | null
  /** It has failed before while its neighbours succeeded: another failure says nothing about the engine. */
  isSuspect: boolean
}

export type LineCallEnd = {
  verdict: Verdict
  /** A doubtful end counts as an attempt of the line. */
  usesAttempt: boolean
  answer: InspectedAnswer | null
  /** What happened, for people: "500 from http://…", "ECONNREFUSED: …". */
  reason: string
  /** Monotonic ms. */
  startedAt: number
  upstreamMs: number
  firstByteMs: number
}

export type RunningCall = { cut(message: string): void }

type SentCall = Pick<LineCall, 'doubtedAt' | 'isSuspect'> & {
  permits: Permits
  startedAt: number
  isTrial: boolean
}

type Phase = 'unknown' | 'up' | 'paused' | 'trial'

/** Guess: so many doubtful ends without a success between them, plus an eighth of what is in flight, are a fault of the engine. */
const DOUBTFUL_IN_A_ROW_MAX = 5
/** Guess: how often an engine that is up is asked whether its models changed. */
const REDISCOVER_MS = 60_000
const STALL_CHECK_MS = 1_000
const REASON_CHARACTERS_MAX = 200

export class Upstream {
  readonly settings: UpstreamSettings
  /** True once `/v1/models` was answered with a list. */
  hasAnswered = false
  readonly #listed = new Set<string>()
  readonly #everListed = new Set<string>()
  readonly #permits = new Map<string, Permits>()
  readonly #connections: Connections
  readonly #basePath: string
  readonly #running = new Bag<OutgoingCall>()
  readonly #clock: Clock
  readonly #random: Random
  readonly #timing: UpstreamTiming
  readonly #onChange: () => void
  #phase: Phase = 'unknown'
  #reason: string | null = null
  #needsTrial = false
  #doubtfulInARow = 0
  #pausesInARow = 0
  /** Start of the newest call that succeeded: an older one that fails had a neighbour that did not. */
  #newestSuccessStartedAt = Number.NEGATIVE_INFINITY
  #inFlight = 0
  #probe: Promise<void> | null = null
  #cancelProbeTimer: (() => void) | null = null
  #cancelSlowTimer: (() => void) | null = null
  #cancelStallTimer: (() => void) | null = null
  #isStopped = false

  constructor(
    settings: UpstreamSettings,
    parts: { clock: Clock; random: Random; timing: UpstreamTiming; onChange: () => void },
  ) {
    this.settings = settings
    this.#clock = parts.clock
    this.#random = parts.random
    this.#timing = parts.timing
    this.#onChange = parts.onChange
    const url = new URL(settings.url)
    this.#basePath = url.pathname.replace(/\/+$/, '')
    this.#connections = openConnections(url.origin, {
      connectMsMax: CONNECT_MS_MAX,
      answerBytesMax: parts.timing.answerBytesMax,
      monotonicMs: parts.clock.monotonicMs,
    })
    this.#armStallCheck()
  }

  get models(): string[] {
    return [...this.#listed]
  }

  get inFlight(): number {
    return this.#inFlight
  }

  serves(model: string): boolean {
    return this.#listed.has(listedName(model))
  }

  everListed(model: string): boolean {
    return this.#everListed.has(listedName(model))
  }

  state(): { state: 'up' | 'slowed' | 'paused' | 'unknown'; reason: string | null } {
    if (this.#phase === 'unknown') return { state: 'unknown', reason: this.#reason }
    if (this.#phase !== 'up') return { state: 'paused', reason: this.#reason }
    const now = this.#clock.monotonicMs()
    const isSlowed = [...this.#permits.values()].some((permits) => now < permits.slowUntil)
    return isSlowed
      ? { state: 'slowed', reason: `${this.settings.url} is busy` }
      : { state: 'up', reason: null }
  }

  /** Only one call goes out now, and its end decides. */
  get isOnTrial(): boolean {
    return this.#phase === 'trial'
  }

  /** Calls that could go out for the model right now. */
  free(model: string): number {
    if (this.#isStopped || !this.serves(model)) return 0
    if (this.#phase === 'trial') return this.#inFlight === 0 ? 1 : 0
    if (this.#phase !== 'up') return 0
    return freePermits(this.#permitsOf(model), this.#clock.monotonicMs())
  }

  /** @param makeCall for an answer that is handed on as it comes */
  call(line: LineCall, onEnd: (end: LineCallEnd) => void, makeCall?: MakeCall): RunningCall {
    const permits = this.#permitsOf(line.model)
    const isTrial = this.#phase === 'trial'
    const startedAt = this.#clock.monotonicMs()
    permits.inFlight += 1
    this.#inFlight += 1
    const call = this.#connections.call(
      { method: 'POST', path: this.#pathOf(line.endpoint), headers: this.#headersOf(line), body: line.body },
      (end) => {
        this.#running.remove(slot)
        permits.inFlight -= 1
        this.#inFlight -= 1
        onEnd(this.#settle(end, { ...line, permits, startedAt, isTrial }))
      },
      makeCall,
    )
    const slot = this.#running.add(call)
    return { cut: (message) => call.cut('cut', message) }
  }

  /** Asks for the models now; concurrent calls share one question. Never rejects: the state tells what came of it. */
  probe(): Promise<void> {
    this.#probe ??= this.#askForModels().finally(() => {
      this.#probe = null
    })
    return this.#probe
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelProbeTimer?.()
    this.#cancelSlowTimer?.()
    this.#cancelStallTimer?.()
    for (const call of this.#running.items()) call.cut('cut', 'upstream was removed or the server stops')
    await this.#connections.close()
  }

  #settle(end: CallEnd, call: SentCall): LineCallEnd {
    const now = this.#clock.monotonicMs()
    const answer = 'answer' in end ? inspectAnswer(end.answer, this.settings.key) : null
    const verdict = judge(
      'answer' in end && answer !== null
        ? {
            kind: 'answered',
            status: answer.status,
            isJsonObject: answer.isJsonObject,
            errorCodes: answer.errorCodes,
          }
        : { kind: 'failed', failure: 'failure' in end ? end.failure : 'reset' },
    )
    const reason = 'failure' in end ? `${end.message} (${this.settings.url})` : this.#reasonOf(answer)
    // Calls that began before it say nothing: an engine that breaks may still finish those.
    const hadNeighbour = this.#newestSuccessStartedAt > (call.doubtedAt ?? call.startedAt)
    // A call that we cut ourselves says nothing about the engine.
    const isOwnDoing = 'failure' in end && end.failure === 'cut'
    if (!isOwnDoing) this.#learn(verdict, { ...call, now, reason, answer })
    return {
      verdict,
      usesAttempt: verdict === 'doubtful' && !isOwnDoing && (hadNeighbour || call.isSuspect),
      answer,
      reason,
      startedAt: call.startedAt,
      upstreamMs: Math.round(now - call.startedAt),
      firstByteMs: 'answer' in end ? Math.round(end.answer.firstByteAt - call.startedAt) : 0,
    }
  }

  #learn(
    verdict: Verdict,
    facts: SentCall & { now: number; reason: string; answer: InspectedAnswer | null },
  ): void {
    switch (verdict) {
      case 'succeeded':
      case 'refused':
        this.#newestSuccessStartedAt = Math.max(this.#newestSuccessStartedAt, facts.startedAt)
        this.#doubtfulInARow = 0
        noteSuccess(facts.permits)
        if (facts.isTrial && this.#phase === 'trial') this.#become('up', null)
        return
      case 'capacity':
        this.#slow(facts)
        if (facts.isTrial && this.#phase === 'trial') this.#become('up', null)
        return
      case 'upstream':
        return this.#pause(facts.reason, { needsTrial: facts.answer !== null })
      case 'doubtful': {
        if (facts.isTrial) return this.#pause(facts.reason, { needsTrial: true })
        if (facts.isSuspect) return
        this.#doubtfulInARow += 1
        const runMax = DOUBTFUL_IN_A_ROW_MAX + this.#inFlight / 8
        if (this.#doubtfulInARow >= runMax) this.#pause(facts.reason, { needsTrial: true })
      }
    }
  }

  #slow(facts: { now: number; permits: Permits; answer: InspectedAnswer | null }): void {
    const asked = facts.answer === null ? null : retryAfterMs(facts.answer, this.#clock.now())
    const backoffMs = retryDelayMs(facts.permits.busyInARow + 1, {
      firstMs: this.#timing.retryDelayMs,
      delayMsMax: this.#timing.retryDelayMsMax,
      draw: this.#random.float(),
    })
    noteBusy(facts.permits, facts.now, asked ?? backoffMs)
    this.#armSlowTimer()
    this.#onChange()
  }

  /** Wakes the dispatcher when the first slowed model may go on. */
  #armSlowTimer(): void {
    this.#cancelSlowTimer?.()
    const now = this.#clock.monotonicMs()
    const until = [...this.#permits.values()].map((permits) => permits.slowUntil).filter((at) => at > now)
    if (until.length === 0 || this.#isStopped) return
    this.#cancelSlowTimer = this.#clock.after(Math.min(...until) - now + 1, () => {
      this.#onChange()
      this.#armSlowTimer()
    })
  }

  /** @param options needsTrial: a list of models proves nothing, only a call that ends well does. */
  #pause(reason: string, options: { needsTrial: boolean }): void {
    if (this.#phase === 'paused' || this.#isStopped) return
    this.#needsTrial = options.needsTrial
    this.#become('paused', reason)
    this.#pausesInARow += 1
    this.#scheduleProbe(
      retryDelayMs(this.#pausesInARow, {
        firstMs: this.#timing.retryDelayMs,
        delayMsMax: this.#timing.retryDelayMsMax,
        // Half of the span is kept, so that a paused engine is never asked again at once.
        draw: 0.5 + this.#random.float() / 2,
      }),
    )
  }

  #become(phase: Phase, reason: string | null): void {
    this.#phase = phase
    this.#reason = reason
    if (phase === 'up') {
      this.#needsTrial = false
      this.#pausesInARow = 0
      this.#doubtfulInARow = 0
    }
    this.#onChange()
  }

  #scheduleProbe(delayMs: number): void {
    this.#cancelProbeTimer?.()
    if (this.#isStopped) return
    this.#cancelProbeTimer = this.#clock.after(delayMs, () => void this.probe())
  }

  async #askForModels(): Promise<void> {
    const found = await fetchModels(this.#connections, {
      url: this.settings.url,
      headers: this.#authorization(),
      clock: this.#clock,
    })
    if (this.#isStopped) return
    if ('reason' in found) {
      // An engine that answers calls is not paused because its list fails once.
      if (this.#phase === 'up') return this.#scheduleProbe(REDISCOVER_MS)
      this.#phase = 'unknown'
      return this.#pause(found.reason, { needsTrial: this.#needsTrial })
    }
    this.#listed.clear()
    for (const model of found.models) {
      this.#listed.add(model)
      this.#everListed.add(model)
    }
    this.hasAnswered = true
    if (this.#phase === 'paused' && this.#needsTrial) this.#become('trial', this.#reason)
    else if (this.#phase === 'paused' || this.#phase === 'unknown') this.#become('up', null)
    else this.#onChange()
    this.#scheduleProbe(REDISCOVER_MS)
  }

  #permitsOf(model: string): Permits {
    const known = this.#permits.get(model)
    if (known !== undefined) return known
    if (this.#permits.size >= PERMITS_KEPT_MAX) {
      for (const [name, { inFlight }] of this.#permits) if (inFlight === 0) this.#permits.delete(name)
    }
    const permits = newPermits(this.settings.concurrency)
    this.#permits.set(model, permits)
    return permits
  }

  /** Line endpoints begin with `/v1`, which the base URL already ends in. */
  #pathOf(endpoint: string): string {
    return this.#basePath + endpoint.slice('/v1'.length)
  }

  #headersOf(line: LineCall): CallHeaders {
    return {
      'content-type': 'application/json',
      accept: 'application/json',
      'idempotency-key': line.idempotencyKey,
      'x-request-id': line.requestId,
      ...this.#authorization(),
    }
  }

  #authorization(): CallHeaders {
    return this.settings.key === null ? {} : { authorization: `Bearer ${this.settings.key}` }
  }

  #reasonOf(answer: InspectedAnswer | null): string {
    if (answer === null) return `no answer from ${this.settings.url}`
    const what = answer.isJsonObject ? '' : ', not a JSON object'
    const message =
      answer.errorMessage === null ? '' : `: ${answer.errorMessage.slice(0, REASON_CHARACTERS_MAX)}`
    return `${answer.status}${what} from ${this.settings.url}${message}`
  }

  #armStallCheck(): void {
    this.#cancelStallTimer = this.#clock.after(STALL_CHECK_MS, () => {
      const silentSince = this.#clock.monotonicMs() - this.#timing.stallMs
      for (const call of this.#running.items()) {
        if (call.lastByteAt < silentSince) call.cut('stall', `no byte for ${this.#timing.stallMs} ms`)
      }
      if (!this.#isStopped) this.#armStallCheck()
    })
  }
}
