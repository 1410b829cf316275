/**
 * What every suite of the torture harness is: it does harm from a seed, checks the promises, and counts. A suite never throws for
 * a broken promise, it reports a violation; it throws only when the harness itself cannot work.
 */
import { createSeededRandom, type Random } from '../src/lib/random.ts'

/** One check that did not hold. `seed` and `cycle` replay it. */
export type Violation = { cycle: number; promise: string; detail: string }

export type SuiteOptions = {
  seed: number
  /** How often, in the suite's own unit; each suite says what a cycle is. */
  cycles: number
  /** For suites that run by time; null where cycles decide. */
  minutes: number | null
  /** Name of the injected defect, one of the suite's `defects`; null: the product as it is. */
  defect: string | null
  /** A line for the person who watches. */
  say(line: string): void
}

export type SuiteReport = {
  /** Checks or cycles that held, in the suite's own unit. */
  passed: number
  violations: readonly Violation[]
  /** What was survived, for the table: for example `SIGKILL while uploading` → 34. */
  survived: ReadonlyMap<string, number>
  /** Figures for the report, for example a distribution. One line each. */
  figures: readonly string[]
}

export type Suite = {
  name: string
  /** One sentence for `--help` and for the report. */
  does: string
  /** What one cycle is, in one or two words. */
  unit: string
  short: SuiteSize
  full: SuiteSize
  /** Switches that break a promise on purpose, with what each breaks; `npm test` shows that the suite reports every one. */
  defects: Readonly<Record<string, string>>
  run(options: SuiteOptions): Promise<SuiteReport>
}

export type SuiteSize = { cycles: number; minutes: number | null }

/** Violations shown and kept per run; a broken promise tends to break in every cycle. */
const VIOLATIONS_MAX = 20

/** Gathers the outcome of a run; `report()` is what a suite returns. */
export class Tally {
  readonly violations: Violation[] = []
  readonly figures: string[] = []
  #passed = 0
  readonly #survived = new Map<string, number>()
  readonly #say: (line: string) => void

  /** @param say told of each violation at once: a long run should not be waited for */
  constructor(say: (line: string) => void) {
    this.#say = say
  }

  pass(count = 1): void {
    this.#passed += count
  }

  survive(what: string, count = 1): void {
    this.#survived.set(what, (this.#survived.get(what) ?? 0) + count)
  }

  violate(cycle: number, promise: string, detail: string): void {
    if (this.isFull) return
    this.violations.push({ cycle, promise, detail })
    this.#say(`VIOLATION in cycle ${cycle}: ${promise}: ${detail}`)
  }

  /** Nothing worth going on for: the outcome is decided. */
  get isFull(): boolean {
    return this.violations.length >= VIOLATIONS_MAX
  }

  report(): SuiteReport {
    return {
      passed: this.#passed,
      violations: this.violations,
      survived: this.#survived,
      figures: this.figures,
    }
  }
}

/** Each cycle has randomness of its own, so that one cycle can be replayed alone. */
export function randomOfCycle(seed: number, cycle: number): Random {
  return createSeededRandom((seed * 1_000_003 + cycle) % 2 ** 31)
}

/** Up to `count` of them, each picked from all. */
export function pickSome<T>(all: readonly T[], count: number, random: Random): T[] {
  return Array.from(
    { length: Math.min(count, all.length) },
    () => all[Math.floor(random.float() * all.length)],
  ).filter((picked) => picked !== undefined)
}
