/** Delays of answers. A delay ends with its response, so that nobody is answered after hanging up. */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../lib/clock.ts'

export type Pacer = {
  after(response: ServerResponse, delayMs: number, act: () => void): void
  /** Hands out the items one by one at the pace, in bursts when the pace is faster than a timer. */
  each<T>(
    response: ServerResponse,
    pace: { items: readonly T[]; everyMs: number },
    act: (item: T) => void,
    done: () => void,
  ): void
  stop(): void
}

/** A timer is not more exact than this. */
const TIMER_MS = 2

export function createPacer(clock: Clock): Pacer {
  const cancels = new Set<() => void>()

  function after(response: ServerResponse, delayMs: number, act: () => void): void {
    if (response.destroyed) return
    if (delayMs < 1) return act()
    const forget = (): void => {
      cancel()
      cancels.delete(forget)
      response.off('close', forget)
    }
    const cancel = clock.after(delayMs, () => {
      forget()
      act()
    })
    cancels.add(forget)
    response.once('close', forget)
  }

  return {
    after,
    each(response, pace, act, done) {
      const startedMs = clock.monotonicMs()
      let sent = 0
      const step = (): void => {
        const due = pace.everyMs <= 0 ? pace.items.length : (clock.monotonicMs() - startedMs) / pace.everyMs
        for (const item of pace.items.slice(sent, Math.floor(due))) {
          act(item)
          sent += 1
        }
        if (sent >= pace.items.length) return done()
        after(response, Math.max(TIMER_MS, pace.everyMs), step)
      }
      step()
    },
    stop() {
      for (const cancel of [...cancels]) cancel()
    },
  }
}
