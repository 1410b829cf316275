/** Work of the engine that no caller waits for. A step that meets trouble is tried again until the server stops; a bug is told and dropped. */
import type { Clock } from '../lib/clock.ts'
import { TroubleError } from '../lib/errors.ts'

/** Guess: a step that failed for want of disk or database is tried again after this. */
const AGAIN_MS = 1_000

export class Steps {
  readonly #running = new Set<Promise<void>>()
  readonly #clock: Clock
  readonly #onTrouble: (what: string, cause: unknown) => void
  #isStopping = false

  constructor(clock: Clock, onTrouble: (what: string, cause: unknown) => void) {
    this.#clock = clock
    this.#onTrouble = onTrouble
  }

  run(what: string, step: () => Promise<void>): void {
    const running = this.#attempt(what, step).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when every step that runs now has ended, or after `withinMs`. */
  settled(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelLimit = this.#clock.after(withinMs, resolve)
      // It never rejects: each outcome is kept.
      void Promise.allSettled(this.#running).then(() => {
        cancelLimit()
        resolve()
      })
    })
  }

  /** Lets every step end; none is tried again. */
  async stop(): Promise<void> {
    this.#isStopping = true
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  async #attempt(what: string, step: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await step()
      } catch (thrown) {
        this.#onTrouble(what, thrown)
        if (this.#isStopping || !(thrown instanceof TroubleError) || thrown.code === 'stopped') return
        await new Promise<void>((resolve) => {
          this.#clock.after(AGAIN_MS, resolve)
        })
      }
    }
  }
}
