/** Draws lines at random: first which, then the lines themselves, so that memory holds numbers only and the order of the file stays. */
import type { Random } from '../../lib/random.ts'

export type Reservoir = {
  /** The next line exists. */
  offer(): void
  readonly offered: number
  /** Numbers of the drawn lines, counted from 0 as they were offered, ascending. */
  drawn(): Float64Array
}

/** Every line offered is drawn with the same chance; with fewer than `count` all are. */
export function createReservoir(count: number, random: Random): Reservoir {
  /** Grows to `count`, which may be far larger than the file. */
  let kept = new Float64Array(Math.min(count, 1024))
  let offered = 0
  return {
    offer() {
      const number = offered
      offered += 1
      if (number >= count) {
        const place = Math.floor(random.float() * offered)
        if (place < count) kept[place] = number
        return
      }
      if (number === kept.length) {
        const grown = new Float64Array(Math.min(2 * kept.length, count))
        grown.set(kept)
        kept = grown
      }
      kept[number] = number
    },
    get offered() {
      return offered
    },
    drawn: () => kept.slice(0, Math.min(offered, count)).sort(),
  }
}
