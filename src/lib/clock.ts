/**
 * The only clock. Server time is the wall clock at start (never below the newest stored time) plus
 * elapsed monotonic time, so a jump of the wall clock neither expires nor extends anything; the jump
 * is visible through `wallClockDriftMs` and followed only at the next start.
 */
export type Clock = {
  /** Server time, milliseconds since the epoch, never running backwards. */
  now(): number
  /** Monotonic milliseconds, for durations. */
  monotonicMs(): number
  /** How far the wall clock has moved away from server time, milliseconds, signed. */
  wallClockDriftMs(): number
  /** Calls `fire` once after `delayMs` of monotonic time. Returns the way to cancel it. */
  after(delayMs: number, fire: () => void): () => void
}

/** Longest delay a platform timer takes; longer ones are re-armed. */
const TIMER_DELAY_MS_MAX = 2_147_483_647

export function createSystemClock(options: { notBeforeAt?: number } = {}): Clock {
  const startedAt = Math.max(Date.now(), options.notBeforeAt ?? 0)
  const startedMonotonicMs = performance.now()
  const now = (): number => Math.floor(startedAt + (performance.now() - startedMonotonicMs))
  return {
    now,
    monotonicMs: () => performance.now(),
    wallClockDriftMs: () => Date.now() - now(),
    after,
  }
}

function after(delayMs: number, fire: () => void): () => void {
  let timer: NodeJS.Timeout
  const arm = (leftMs: number): void => {
    const partMs = Math.min(leftMs, TIMER_DELAY_MS_MAX)
    timer = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : fire()), partMs)
  }
  arm(Math.max(0, delayMs))
  return () => clearTimeout(timer)
}

/** Monotonic milliseconds that the threads of one process share, for measuring from one to the other. */
export function sharedMonotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
