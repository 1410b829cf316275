/** From the rounds of a benchmark to the rows of the table. */
import type { Measured, Row, Target } from './benchmark.ts'

export type Spread = { median: number; min: number; max: number }

/** @param share 0..1 @returns NaN of nothing */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

export function spreadOfEach(rounds: readonly Measured[]): Record<string, Spread> {
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, spreadOf(valuesOf(rounds, name))]))
}

/** A row with what was measured. `ratio` is the median over rounds: a figure and the floor of its own round. */
export type RowResult = Row & {
  value: Spread
  floorValue: number | null
  ratio: number | null
  /** Null where there is nothing to reach. */
  isReached: boolean | null
}

export function rowResult(row: Row, rounds: readonly Measured[]): RowResult {
  const values = valuesOf(rounds, row.figure)
  const value = spreadOf(values)
  if (row.floor === undefined)
    return { ...row, value, floorValue: null, ratio: null, isReached: reached(row, value.median, null) }
  const floors = valuesOf(rounds, row.floor)
  const ratio = median(values.map((each, round) => each / (floors[round] ?? Number.NaN)))
  return { ...row, value, floorValue: median(floors), ratio, isReached: reached(row, value.median, ratio) }
}

function reached(row: Row, value: number, ratio: number | null): boolean | null {
  if (row.target === null && row.shareAtLeast === undefined) return null
  // A share without a floor, or a value that is no number, is never reached.
  const isShareReached = row.shareAtLeast === undefined || (ratio ?? 0) >= row.shareAtLeast
  return isShareReached && (row.target === null || isWithin(row.target, value))
}

function isWithin(target: Target, value: number): boolean {
  return 'atLeast' in target ? value >= target.atLeast : value <= target.atMost
}

function valuesOf(rounds: readonly Measured[], figure: string): number[] {
  return rounds.map((round) => {
    const value = round[figure]
    if (value === undefined) throw new Error(`no round measured '${figure}'`)
    return value
  })
}
