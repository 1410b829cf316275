/**
 * Whose fault is a failed call? Decided here alone (DESIGN §5).
 *
 *   succeeded  the line has its answer
 *   refused    the request itself is wrong: the line fails at once
 *   upstream   the engine or the way to it is broken: it is paused, the line waits and uses no attempt
 *   capacity   the engine is busy: it is slowed down, the line waits and uses no attempt
 *   doubtful   line or engine: counts as an attempt only when neighbours succeed meanwhile
 */
import { RETRY_AFTER_MS_MAX } from './limits.ts'

export type CallFailure = 'connect' | 'reset' | 'stall' | 'cut' | 'answer_too_large'

export type CallResult =
  | {
      kind: 'answered'
      status: number
      /** The body is one JSON object in valid UTF-8. */
      isJsonObject: boolean
      /** `error.code` or `error.type` of the body, if any. */
      errorCodes: readonly string[]
    }
  | { kind: 'failed'; failure: CallFailure }

export type Verdict = 'succeeded' | 'refused' | 'upstream' | 'capacity' | 'doubtful'

const CAPACITY_STATUSES: ReadonlySet<number> = new Set([429, 503, 529])
const UPSTREAM_STATUSES: ReadonlySet<number> = new Set([401, 402, 403, 407])
/** Refusals in form, but ones that the same request may not meet again. */
const DOUBTFUL_STATUSES: ReadonlySet<number> = new Set([408, 409, 425, 499])

export function judge(result: CallResult): Verdict {
  if (result.kind === 'failed') return judgeFailure(result.failure)
  const { status } = result
  if (result.errorCodes.includes('insufficient_quota')) return 'upstream'
  if (status >= 200 && status < 300) return result.isJsonObject ? 'succeeded' : 'doubtful'
  if (CAPACITY_STATUSES.has(status)) return 'capacity'
  if (UPSTREAM_STATUSES.has(status)) return 'upstream'
  if (status >= 300 && status < 400) return 'upstream'
  if (status >= 500 || status < 200 || DOUBTFUL_STATUSES.has(status)) return 'doubtful'
  return 'refused'
}

function judgeFailure(failure: CallFailure): Verdict {
  if (failure === 'connect') return 'upstream'
  return failure === 'answer_too_large' ? 'refused' : 'doubtful'
}

/** Exponential backoff with full jitter. @param draw uniform in [0, 1) @returns milliseconds */
export function retryDelayMs(
  failures: number,
  options: { firstMs: number; delayMsMax: number; draw: number },
): number {
  const ceilingMs = Math.min(options.delayMsMax, options.firstMs * 2 ** Math.min(failures - 1, 30))
  return Math.ceil(ceilingMs * options.draw)
}

/**
 * Reads `retry-after-ms` (milliseconds) or `retry-after` (seconds, a fraction allowed, or an HTTP date).
 * @returns milliseconds from `now`, 0..RETRY_AFTER_MS_MAX, or null when neither says anything usable.
 */
export function retryAfterMs(
  headers: { retryAfterMs: string | undefined; retryAfter: string | undefined },
  now: number,
): number | null {
  const exactMs = headers.retryAfterMs === undefined ? Number.NaN : Number.parseFloat(headers.retryAfterMs)
  if (Number.isFinite(exactMs)) return bounded(exactMs)
  if (headers.retryAfter === undefined) return null
  const text = headers.retryAfter.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return bounded(Number(text) * 1000)
  // An HTTP date begins with the name of a day; `Date.parse` alone would read far more.
  const at = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? null : bounded(at - now)
}

function bounded(ms: number): number {
  return Math.min(RETRY_AFTER_MS_MAX, Math.max(0, ms))
}
