/** What every benchmark is: it measures in rounds, and its rows say which figures count, what they are to reach and beside which floor. */
import type { World } from './world.ts'

/** Plain numbers with their unit in the name. */
export type Measured = Readonly<Record<string, number>>

export type Target = { atLeast: number } | { atMost: number }

export type Row = {
  /** A figure that each round measures. */
  figure: string
  /** What it is, for the reader of the table. */
  means: string
  unit: string
  /** Null: shown because it explains another row. */
  target: Target | null
  /** The figure of the same round that stands beside it. */
  floor?: string
  /** Least share of the floor that the figure is to reach. */
  shareAtLeast?: number
}

/** What one unit of size is stands in `Benchmark.unit`. */
export type Size = { size: number; rounds: number }

export type BenchOptions = Size & {
  world: World
  /** Takes one line for the reader. */
  say: (line: string) => void
}

export type Benchmark = {
  name: string
  does: string
  /** What `size` counts. */
  unit: string
  full: Size
  /** Passes through every phase, says nothing about speed. */
  smoke: Size
  rows: readonly Row[]
  /** Yields what each round measured. Each round has the same figures. */
  measure(options: BenchOptions): AsyncIterable<Measured>
}
