/** What a process holds, as Linux tells it: memory and open files, sampled over a long run. */
import { readdirSync, readFileSync } from 'node:fs'

type Sample = { at: number; residentMb: number; openFiles: number }

const MB = 1024

/** @returns null when the process is gone */
export function footprintOf(pid: number): { residentMb: number; openFiles: number } | null {
  try {
    const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    // A process that is just ending has no memory any more, but still its entry.
    if (kb === undefined) return null
    return { residentMb: Number(kb) / MB, openFiles: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    // It ended between two looks.
    return null
  }
}

/** Compares the last third of a run with the first. */
export class Footprint {
  readonly #samples: Sample[] = []
  readonly #startedAt = performance.now()

  sample(pid: number): void {
    const now = footprintOf(pid)
    if (now !== null) this.#samples.push({ at: performance.now() - this.#startedAt, ...now })
  }

  third(number: 1 | 3): { residentMb: number; openFiles: number } {
    const end = this.#samples.at(-1)?.at ?? 0
    const part = this.#samples.filter(({ at }) => at >= (end * (number - 1)) / 3 && at <= (end * number) / 3)
    return {
      residentMb: medianOf(part.map((sample) => sample.residentMb)),
      openFiles: medianOf(part.map((sample) => sample.openFiles)),
    }
  }

  get peakMb(): number {
    return Math.max(...this.#samples.map((sample) => sample.residentMb))
  }
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
