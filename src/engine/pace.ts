/** Rate and expected end of one batch, from samples of the last minute. */

type Sample = { at: number; lines: number; tokens: number }

const WINDOW_MS = 60_000
/** One sample a second at the most. */
const SAMPLES_MAX = 64
/** Guess: below this an estimate is noise. */
const SPAN_MS_MIN = 2_000

export class Pace {
  readonly #samples: Sample[] = []

  /** @param at monotonic ms */
  sample(at: number, totals: { lines: number; tokens: number }): void {
    this.#samples.push({ at, ...totals })
    while (this.#samples.length > SAMPLES_MAX || at - (this.#samples[0]?.at ?? at) > WINDOW_MS)
      this.#samples.shift()
  }

  /** Null until the samples span long enough. */
  rates(): { linesPerSecond: number; tokensPerSecond: number } | null {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.at - first.at < SPAN_MS_MIN) return null
    const seconds = (last.at - first.at) / 1000
    return {
      linesPerSecond: (last.lines - first.lines) / seconds,
      tokensPerSecond: (last.tokens - first.tokens) / seconds,
    }
  }

  /** Milliseconds until `linesLeft` are done at the present rate; null while unknown or standing still. */
  remainingMs(linesLeft: number): number | null {
    const rates = this.rates()
    return rates === null || rates.linesPerSecond <= 0 ? null : (linesLeft / rates.linesPerSecond) * 1000
  }
}
