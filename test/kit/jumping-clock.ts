import { type Clock, createSystemClock } from '../../src/lib/clock.ts'

export type JumpingClock = Clock & {
  /** Puts the hands forward; timers that come due fire, the earliest first. */
  jump(ms: number): void
}

/** A system clock whose hands the test can put forward. */
export function createJumpingClock(): JumpingClock {
  const base = createSystemClock()
  let aheadMs = 0
  const timers = new Set<{ dueMs: number; fire: () => void; cancel: () => void }>()
  return {
    now: () => base.now() + aheadMs,
    monotonicMs: () => base.monotonicMs() + aheadMs,
    wallClockDriftMs: () => 0,
    after(delayMs, fire) {
      const run = (): void => {
        timers.delete(timer)
        fire()
      }
      const dueMs = base.monotonicMs() + aheadMs + delayMs
      const timer = { dueMs, fire: run, cancel: base.after(delayMs, run) }
      timers.add(timer)
      return () => {
        timers.delete(timer)
        timer.cancel()
      }
    },
    jump(ms) {
      aheadMs += ms
      for (const timer of [...timers].toSorted((a, b) => a.dueMs - b.dueMs)) {
        // One that fired before may have cancelled it.
        if (!timers.has(timer) || timer.dueMs > base.monotonicMs() + aheadMs) continue
        timer.cancel()
        timer.fire()
      }
    },
  }
}
