/** How long a service that is out of reach is waited for: longer than a restart takes, and not for ever. */
import { isPassing } from './errors.ts'
import { sleep } from './transport.ts'

/** Guess: longer than a restart or an upgrade takes. */
export const OUT_OF_REACH_MS_MAX = 10 * 60_000
const DELAY_MS_FIRST = 250
const DELAY_MS_MAX = 15_000

export type Patience = {
  /** Something came: whatever fails from now on fails anew. */
  restore(): void
  /** Waits for another try. @throws what was thrown, when it will not pass or has lasted too long; the reason of an abort */
  wait(thrown: unknown): Promise<void>
}

export function createPatience(signal: AbortSignal | undefined): Patience {
  let failures = 0
  let since: number | null = null
  return {
    restore() {
      failures = 0
      since = null
    },
    async wait(thrown) {
      signal?.throwIfAborted()
      since ??= performance.now()
      if (!isPassing(thrown) || performance.now() - since > OUT_OF_REACH_MS_MAX) throw thrown
      const delayMs = Math.min(DELAY_MS_MAX, DELAY_MS_FIRST * 2 ** failures)
      failures += 1
      await sleep(delayMs * (0.5 + Math.random() / 2), signal)
    },
  }
}

/** The answer of a question that may be asked again. */
export async function patiently<T>(ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const patience = createPatience(signal)
  for (;;) {
    try {
      return await ask()
    } catch (thrown) {
      await patience.wait(thrown)
    }
  }
}
