/**
 * Tidies up behind deletions and expiries: hides files whose time has come, removes inputs that no live batch needs, and once
 * after the start sweeps blobs that no row names. Each round is bounded; what it leaves is found again by the next one.
 */
import type { Blobs } from '../blobs/blobs.ts'
import { JANITOR_MS, JANITOR_PAGE } from '../domain/limits.ts'
import type { Clock } from '../lib/clock.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { removeInput } from './file-service.ts'

export type JanitorParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  clock: Clock
  onTrouble: (what: string, cause: unknown) => void
}

export class Janitor {
  readonly #parts: JanitorParts
  #cancelTimer: (() => void) | null = null
  #round: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(parts: JanitorParts) {
    this.#parts = parts
  }

  /** Call before the first upload: the sweep takes every blob without a row for one that a crash left. */
  async start(): Promise<void> {
    await this.#sweep()
    this.#arm(0)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelTimer?.()
    await this.#round
  }

  /** One round now. */
  async tidy(): Promise<void> {
    const { store, blobs, clock } = this.#parts
    for (const file of await store.files.expired(clock.now(), JANITOR_PAGE)) {
      const isHidden = await store.files.hide(file.id, clock.now())
      if (isHidden && file.kind !== 'input' && file.batchId !== null)
        await this.#removeResults(file.batchId, file.kind)
    }
    for (const file of await store.files.removable(JANITOR_PAGE)) {
      await removeInput(blobs, file.id)
      await store.files.forget(file.id)
    }
  }

  async #removeResults(batchId: string, kind: 'output' | 'error'): Promise<void> {
    const batch = await this.#parts.store.batches.get(batchId, null)
    if (batch !== null) await this.#parts.results.removeFile(batch.seq, kind)
  }

  async #sweep(): Promise<void> {
    const { store, blobs } = this.#parts
    for await (const name of blobs.list()) {
      const fileId = name.slice(0, name.lastIndexOf('.'))
      if ((await store.files.getEvenDeleted(fileId)) === null) await blobs.remove(name)
    }
  }

  #arm(delayMs: number): void {
    if (this.#isStopped) return
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      this.#round = this.tidy()
        .catch((thrown: unknown) => this.#parts.onTrouble('tidying up', thrown))
        .finally(() => this.#arm(JANITOR_MS))
    })
  }
}
