/**
 * Runs benchmarks by name and appends what they measured to `bench/results/NAME.jsonl`, with commit, machine and date.
 *
 *   npm run bench -- [NAME…] [--requests N] [--json]
 *
 * Without a name all run. `--json` prints the result object alone; words go to standard error.
 */
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Benchmark } from './benchmark.ts'
import { benchDispatch } from './dispatch.ts'

const benchmarks: Readonly<Record<string, Benchmark>> = { dispatch: benchDispatch }
const resultsFolder = join(import.meta.dirname, 'results')

function commit(): string {
  try {
    const git = (...words: string[]): string =>
      execFileSync('git', words, {
        cwd: import.meta.dirname,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim()
    return (
      git('rev-parse', '--short=12', 'HEAD') +
      (git('status', '--porcelain', '--', 'src') === '' ? '' : '+changes')
    )
  } catch {
    // Not a checkout, or one without a commit: the figure is still worth keeping.
    return 'unknown'
  }
}

function machine(): Record<string, string | number> {
  const [cpu] = cpus()
  return {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 2 ** 20),
    system: `${type()} ${release()}`,
    node: process.version,
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, requests: { type: 'string' } },
  })
  const names = positionals.length > 0 ? positionals : Object.keys(benchmarks)
  const requests = values.requests === undefined ? null : Number(values.requests)
  const say = (line: string): void => console.error(line)
  for (const name of names) {
    const benchmark = benchmarks[name]
    if (benchmark === undefined)
      throw new Error(`no benchmark '${name}'; there are ${Object.keys(benchmarks).join(', ')}`)
    const measured = await benchmark({ requests, say })
    const result = { name, at: new Date().toISOString(), commit: commit(), machine: machine(), measured }
    mkdirSync(resultsFolder, { recursive: true })
    appendFileSync(join(resultsFolder, `${name}.jsonl`), `${JSON.stringify(result)}\n`)
    if (values.json) console.log(JSON.stringify(result))
    else
      for (const [figure, value] of Object.entries(measured))
        console.log(`${figure.padEnd(28)}${format(value)}`)
  }
}

function format(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 }).padStart(14)
}

if (import.meta.main) await main()
