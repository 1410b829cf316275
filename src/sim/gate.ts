/** Places of one model: at most `places` requests at work, at most `queue` waiting, first come first served. */
export type Gate = {
  /** Calls `enter` when a place is free, at once or later. @returns false when the queue is full; a way to give up otherwise */
  enter(limits: { places: number; queue: number }, enter: () => void): false | (() => void)
  /** Gives a place back. */
  leave(): void
  isIdle(): boolean
}

export function createGate(): Gate {
  let busy = 0
  const waiting = new Set<() => void>()
  return {
    enter(limits, enter) {
      if (busy < limits.places) {
        busy += 1
        enter()
        return () => {}
      }
      if (waiting.size >= limits.queue) return false
      waiting.add(enter)
      return () => waiting.delete(enter)
    },
    leave() {
      busy -= 1
      const next = waiting.values().next()
      if (next.done) return
      waiting.delete(next.value)
      busy += 1
      next.value()
    },
    isIdle: () => busy === 0 && waiting.size === 0,
  }
}
