/**
 * How many requests of one model may be in flight at one upstream. Pure state with moves: shrinks when the engine says it is
 * busy, grows back with each full round of successes, and sends nothing before `slowUntil`.
 */
export type Permits = {
  /** Set by the operator; never exceeded. */
  readonly limit: number
  /** 1..limit, moves with what the engine can take. */
  allowed: number
  inFlight: number
  /** Monotonic ms before which nothing is sent; 0 when nothing holds. */
  slowUntil: number
  /** Busy answers since the last success. */
  busyInARow: number
  /** Successes since `allowed` last changed. */
  successes: number
  /** Monotonic ms of the last cut. */
  cutAt: number
}

/** Guess: one burst of busy answers to calls that were in flight together cuts only once. */
const CUT_MS_MIN = 1_000
/** Guess: gentle, because a busy answer also comes by chance, from one replica of many. A truly full engine cuts again each second. */
const CUT_FACTOR = 0.7
/** Guess: part of the permits regained with each full round of successes. */
const GROWTH_SHARE = 0.1

export function newPermits(limit: number): Permits {
  return {
    limit,
    allowed: limit,
    inFlight: 0,
    slowUntil: 0,
    busyInARow: 0,
    successes: 0,
    cutAt: -CUT_MS_MIN,
  }
}

export function freePermits(permits: Permits, now: number): number {
  return now < permits.slowUntil ? 0 : Math.max(0, permits.allowed - permits.inFlight)
}

export function noteSuccess(permits: Permits): void {
  permits.busyInARow = 0
  if (permits.allowed >= permits.limit) return
  permits.successes += 1
  if (permits.successes < permits.allowed) return
  permits.allowed = Math.min(
    permits.limit,
    permits.allowed + Math.max(1, Math.round(permits.allowed * GROWTH_SHARE)),
  )
  permits.successes = 0
}

/** @param delayMs how long to send nothing: the engine's `Retry-After`, or a backoff. */
export function noteBusy(permits: Permits, now: number, delayMs: number): void {
  permits.busyInARow += 1
  permits.slowUntil = Math.max(permits.slowUntil, now + delayMs)
  if (now - permits.cutAt < CUT_MS_MIN) return
  permits.cutAt = now
  permits.successes = 0
  permits.allowed = Math.max(1, Math.floor(permits.allowed * CUT_FACTOR))
}
