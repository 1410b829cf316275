/**
 * Runs suites of the torture harness at any size, and ends with `N passed, N failed` and a table of what was survived.
 *
 *   npm run torture -- SUITE… [--full] [--cycles N] [--minutes M] [--seed S] [--defect NAME] [--record]
 *
 * Without a size the short one runs, as in `npm test`. The seed is printed, and repeats the run. Exit 1 when a promise was broken.
 * `--record` appends the outcome to `torture/results/SUITE.jsonl`, from which `docs/reliability.md` is made.
 */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Table } from 'console-table-printer'
import { projectFolder } from '../test/kit/server-process.ts'
import { commitOf } from '../tools/commit.ts'
import { type RecordedRun, resultsFolder } from './results.ts'
import type { Suite, SuiteReport } from './suite.ts'

const suiteNames = [
  'kill',
  'points',
  'process',
  'torn',
  'disk',
  'upstream',
  'clock',
  'input',
  'soak',
] as const

async function loadSuite(name: string): Promise<Suite> {
  if (!suiteNames.some((known) => known === name))
    throw new Error(`no suite '${name}'; there are ${suiteNames.join(', ')}`)
  // Each suite's file exports it under this name.
  const { suite } = (await import(`./${name}.ts`)) as { suite: Suite }
  return suite
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: 'boolean', default: false },
      cycles: { type: 'string' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      defect: { type: 'string' },
      record: { type: 'boolean', default: false },
    },
  })
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
  let passed = 0
  let failed = 0
  for (const name of positionals.length > 0 ? positionals : suiteNames) {
    const suite = await loadSuite(name)
    const size = values.full ? suite.full : suite.short
    const cycles = values.cycles === undefined ? size.cycles : Number(values.cycles)
    const minutes = values.minutes === undefined ? size.minutes : Number(values.minutes)
    console.log(`${name}: ${suite.does}`)
    console.log(`seed ${seed}, ${minutes === null ? `${cycles} ${suite.unit}s` : `${minutes} min`}`)
    const startedAt = performance.now()
    const defect = values.defect ?? null
    const report = await suite.run({ seed, cycles, minutes, defect, say: (line) => console.log(`  ${line}`) })
    const seconds = Math.round((performance.now() - startedAt) / 1000)
    print(name, { ...report, seconds })
    if (values.record) record({ name, seed, defect, cycles, minutes, seconds, report })
    passed += report.passed
    failed += report.violations.length
  }
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}

function print(name: string, report: SuiteReport & { seconds: number }): void {
  const table = new Table({ columns: [{ name: 'survived', alignment: 'left' }, { name: 'times' }] })
  for (const [survived, times] of report.survived) table.addRow({ survived, times })
  table.printTable()
  for (const figure of report.figures) console.log(figure)
  console.log(`${name}: ${report.passed} passed, ${report.violations.length} failed in ${report.seconds} s\n`)
}

function record(run: {
  name: string
  seed: number
  defect: string | null
  cycles: number
  minutes: number | null
  seconds: number
  report: SuiteReport
}): void {
  const { report, ...facts } = run
  const about = {
    ...facts,
    at: new Date().toISOString(),
    commit: commitOf(projectFolder),
    node: process.version,
  }
  const outcome: RecordedRun = { ...about, ...report, survived: Object.fromEntries(report.survived) }
  mkdirSync(resultsFolder, { recursive: true })
  appendFileSync(join(resultsFolder, `${run.name}.jsonl`), `${JSON.stringify(outcome)}\n`)
}

await main()
