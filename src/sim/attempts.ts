/** Requests that met an error and how often. Bounded: the oldest are forgotten, so a forgotten request may fail once more. */
export type Attempts = {
  /** Counts one more attempt. @returns how many there were before this one */
  note(key: string): number
}

/** Guess: more failing requests than this are never in flight at once. */
const KEYS_MAX = 100_000

export function createAttempts(): Attempts {
  const counts = new Map<string, number>()
  return {
    note(key) {
      const before = counts.get(key) ?? 0
      counts.delete(key)
      counts.set(key, before + 1)
      if (counts.size > KEYS_MAX) {
        const oldest = counts.keys().next()
        if (!oldest.done) counts.delete(oldest.value)
      }
      return before
    },
  }
}
