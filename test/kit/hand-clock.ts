import type { Clock } from '../../src/lib/clock.ts'

export type HandClock = Clock & {
  /** Lets time pass; timers that come due fire in their order, each at its own instant. */
  advance(ms: number): void
  /** Delays of the timers that wait, soonest first. */
  waiting(): number[]
}

/** A clock that stands still until the test moves it. */
export function createHandClock(startAt = 1_800_000_000_000): HandClock {
  let now = startAt
  let timers: { at: number; fire: () => void }[] = []
  const next = () => timers.toSorted((a, b) => a.at - b.at)[0]
  return {
    now: () => now,
    monotonicMs: () => now - startAt,
    wallClockDriftMs: () => 0,
    after(delayMs, fire) {
      const timer = { at: now + Math.max(0, delayMs), fire }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      const end = now + ms
      for (let timer = next(); timer !== undefined && timer.at <= end; timer = next()) {
        const due = timer
        timers = timers.filter((other) => other !== due)
        now = due.at
        due.fire()
      }
      now = end
    },
    waiting: () => timers.map(({ at }) => at - now).toSorted((a, b) => a - b),
  }
}
