export type BenchOptions = {
  /** Null: the benchmark's own size. */
  requests: number | null
  /** Takes one line for the reader. */
  say: (line: string) => void
}

/** Plain numbers with their unit in the name. */
export type Measured = Record<string, number>

export type Benchmark = (options: BenchOptions) => Promise<Measured>
