/**
 * Tidies up behind deletions, expiries and crashes: ends files whose time has come, removes inputs that no live batch needs, and once
 * after the start sweeps blobs that no row names.
 *
 * Invariants: bytes go before the row that leads to them, so a crash in between leaves a row that the next round meets again.
 * The sweep touches no blob whose id was made since the start, so an upload never loses its bytes before it has its row; it rests
 * on this process being the only writer of the blobs. Each round is bounded; what it leaves is found again by the next one.
 */
import type { Blobs } from '../blobs/blobs.ts'
import { blobNames } from '../blobs/blobs.ts'
import { isEnded } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import { newId } from '../domain/ids.ts'
import { JANITOR_MS, JANITOR_PAGE, JANITOR_PAGES_MAX } from '../domain/limits.ts'
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
  #running: Promise<unknown> = Promise.resolve()
  #isStopped = false

  constructor(parts: JanitorParts) {
    this.#parts = parts
  }

  /** Call before the first upload. Resolves at once: sweep and rounds go on in the background, however many blobs there are. */
  async start(): Promise<void> {
    this.#running = this.#guarded('sweeping blobs', () => this.sweep(this.#parts.clock.now())).then(() =>
      this.#round(),
    )
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelTimer?.()
    await this.#running
  }

  /** One round now. */
  async tidy(): Promise<void> {
    const { store, blobs, clock } = this.#parts
    await this.#pages(
      () => store.files.expired(clock.now(), JANITOR_PAGE),
      (file) => this.#expire(file),
    )
    await this.#pages(
      () => store.files.removable(JANITOR_PAGE),
      async (file) => {
        await removeInput(blobs, file.id)
        await store.files.forget(file.id)
      },
    )
  }

  /** Removes blobs of files made before `madeBeforeAt` that no row names. */
  async sweep(madeBeforeAt: number): Promise<void> {
    const { store, blobs } = this.#parts
    // Ids sort by the instant they were made at: this is the first one of that instant.
    const firstId = newId('file-', madeBeforeAt, { bytes: (count) => new Uint8Array(count), float: () => 0 })
    for await (const name of blobs.list()) {
      if (this.#isStopped) return
      const fileId = name.slice(0, name.lastIndexOf('.'))
      const isOurs = Object.values(blobNames).some((nameOf) => nameOf(fileId) === name)
      if (!isOurs || !fileId.startsWith('file-') || fileId >= firstId) continue
      if ((await store.files.getEvenDeleted(fileId)) === null) await blobs.remove(name)
    }
  }

  async #expire(file: StoredFile): Promise<void> {
    const { store, results, clock } = this.#parts
    if (file.kind !== 'input' && file.batchId !== null) {
      const batch = await store.batches.get(file.batchId, null)
      if (batch !== null && !isEnded(batch.status)) return
      if (batch !== null) await results.removeFile(batch.seq, file.kind)
    }
    await store.files.hide(file.id, clock.now())
  }

  /** Page after page, until one is not full or something of it failed: that is left to the next round. */
  async #pages(
    next: () => Promise<StoredFile[]>,
    handle: (file: StoredFile) => Promise<void>,
  ): Promise<void> {
    for (let page = 0; page < JANITOR_PAGES_MAX && !this.#isStopped; page += 1) {
      const files = await next()
      let failed = 0
      for (const file of files) {
        if (this.#isStopped) return
        failed += (await this.#guarded(`tidying up ${file.id}`, () => handle(file))) ? 0 : 1
      }
      if (files.length < JANITOR_PAGE || failed > 0) return
    }
  }

  async #round(): Promise<void> {
    await this.#guarded('tidying up', () => this.tidy())
    if (this.#isStopped) return
    this.#cancelTimer = this.#parts.clock.after(JANITOR_MS, () => {
      this.#running = this.#round()
    })
  }

  /** @returns whether it succeeded; a failure is reported, since nobody waits for it */
  async #guarded(what: string, act: () => Promise<void>): Promise<boolean> {
    try {
      await act()
      return true
    } catch (thrown) {
      this.#parts.onTrouble(what, thrown)
      return false
    }
  }
}
