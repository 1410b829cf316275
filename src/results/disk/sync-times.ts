/** How long answers wait for their sync: the last ones, for `/metrics` and for the promise that it is short. */

/** Guess: enough for a P99 of the last minute or so. */
const SAMPLES = 4_096

export class SyncTimes {
  syncs = 0
  readonly #samples = new Float64Array(SAMPLES)

  /** @param waitedMs of the oldest answer in the sync, the longest of them all. */
  note(waitedMs: number): void {
    this.#samples[this.syncs % SAMPLES] = waitedMs
    this.syncs += 1
  }

  read(): { p50Ms: number; p99Ms: number; syncs: number } {
    const sorted = this.#samples.slice(0, Math.min(this.syncs, SAMPLES)).toSorted()
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return { p50Ms: at(0.5), p99Ms: at(0.99), syncs: this.syncs }
  }
}
