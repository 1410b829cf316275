/**
 * Runs benchmarks by name, one after the other, and ends with one table of what was measured and what it was to reach.
 *
 *   npm run bench -- [NAME…] [--smoke] [--size N] [--rounds N] [--json] [--no-keep]
 *
 * Without a name all run. Each appends its figures to `bench/results/NAME.jsonl`, with commit, machine and date. `--json` prints
 * the result objects alone, one a line; words go to standard error. A row that is not reached is shown as such and is no error.
 */
import { parseArgs } from 'node:util'
import type { Benchmark, Measured, Size } from './benchmark.ts'
import { benchmarks } from './benchmarks.ts'
import { describeFigures, keep, loadNow, printTable, type Result, resultOf } from './report.ts'
import { createWorld } from './world.ts'

const EXIT_INTERRUPTED = 130
/** A world may hold gigabytes and running servers: it is taken down first. */
const signals = ['SIGINT', 'SIGTERM'] as const

const say = (line: string): void => console.error(line)

async function run(benchmark: Benchmark, size: Size): Promise<Result> {
  const world = createWorld()
  const measured: Measured[] = []
  const loadBefore = loadNow()
  say(`${benchmark.name}: ${benchmark.does}; ${size.size} ${benchmark.unit}, ${size.rounds} rounds`)
  const giveUp = (): void => void world.close().finally(() => process.exit(EXIT_INTERRUPTED))
  for (const signal of signals) process.once(signal, giveUp)
  try {
    const options = { ...size, world, say: (line: string) => say(`  ${line}`) }
    for await (const round of benchmark.measure(options)) measured.push(round)
  } finally {
    for (const signal of signals) process.off(signal, giveUp)
    await world.close()
  }
  return resultOf(benchmark, size, { measured, loadBefore })
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    allowNegative: true,
    options: {
      json: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: true },
      size: { type: 'string' },
      rounds: { type: 'string' },
    },
  })
  const results: Result[] = []
  const failures: string[] = []
  for (const benchmark of benchmarksOf(positionals)) {
    const own = values.smoke ? benchmark.smoke : benchmark.full
    const size = { size: countOf(values.size, own.size), rounds: countOf(values.rounds, own.rounds) }
    const result = await run(benchmark, size).catch((thrown: unknown) => {
      // The others still run; one that could not measure is told at the end, in place of its rows.
      failures.push(
        `${benchmark.name} could not be measured: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      )
      return null
    })
    if (result === null) continue
    if (values.keep && !values.smoke) keep(result)
    if (values.json) console.log(JSON.stringify(result))
    for (const line of describeFigures(result)) say(line)
    results.push(result)
  }
  if (!values.json) printTable(results)
  for (const failure of failures) say(failure)
  if (failures.length > 0) process.exitCode = 1
}

function benchmarksOf(names: readonly string[]): Benchmark[] {
  if (names.length === 0) return [...benchmarks.values()]
  return names.map((name) => {
    const benchmark = benchmarks.get(name)
    if (benchmark !== undefined) return benchmark
    throw new Error(`no benchmark '${name}'; there are ${[...benchmarks.keys()].join(', ')}`)
  })
}

function countOf(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const count = Number(text.replaceAll(/[_,]/g, ''))
  if (!Number.isInteger(count) || count < 1) throw new Error(`'${text}' is no count; it takes 1 or more`)
  return count
}

await main()
