/** The table at the end, and the file in which every run is kept. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { Table } from 'console-table-printer'
import { commitOf } from '../tools/commit.ts'
import type { Benchmark, Measured, Row, Size } from './benchmark.ts'
import { type RowResult, rowResult, type Spread, spreadOfEach } from './figures.ts'

const resultsFolder = join(import.meta.dirname, 'results')

export type Result = {
  name: string
  at: string
  commit: string
  machine: Record<string, string | number>
  /** Runnable processes at the start, mean of a minute: what else the machine had to do. */
  loadBefore: number
  size: number
  unit: string
  rounds: number
  /** Medians. */
  measured: Measured
  spread: Readonly<Record<string, Spread>>
  rows: readonly RowResult[]
}

/** How busy the machine is by itself. Call before the benchmark starts. */
export function loadNow(): number {
  return loadavg()[0] ?? Number.NaN
}

export function resultOf(
  benchmark: Benchmark,
  { size, rounds }: Size,
  outcome: { measured: readonly Measured[]; loadBefore: number },
): Result {
  const spread = spreadOfEach(outcome.measured)
  const [cpu] = cpus()
  return {
    name: benchmark.name,
    at: new Date().toISOString(),
    commit: commitOf(import.meta.dirname),
    machine: {
      cpu: cpu?.model ?? 'unknown',
      cores: cpus().length,
      memoryMb: Math.round(totalmem() / 2 ** 20),
      system: `${type()} ${release()}`,
      node: process.version,
    },
    loadBefore: outcome.loadBefore,
    size,
    unit: benchmark.unit,
    rounds,
    measured: Object.fromEntries(Object.entries(spread).map(([name, { median }]) => [name, median])),
    spread,
    rows: benchmark.rows.map((row) => rowResult(row, outcome.measured)),
  }
}

export function keep(result: Result): void {
  mkdirSync(resultsFolder, { recursive: true })
  appendFileSync(join(resultsFolder, `${result.name}.jsonl`), `${JSON.stringify(result)}\n`)
}

/** Every figure of one benchmark, with its spread. */
export function describeFigures(result: Result): string[] {
  return Object.entries(result.spread).map(([figure, { median, min, max }]) => {
    const spread = result.rounds > 1 ? `   ${number(min).trim()} … ${number(max).trim()}` : ''
    return `  ${figure.padEnd(34)}${number(median).padStart(12)}${spread}`
  })
}

export function printTable(results: readonly Result[]): void {
  const table = new Table({
    shouldDisableColors: !process.stdout.isTTY,
    columns: [
      { name: 'name', alignment: 'left' },
      { name: 'what', alignment: 'left' },
      ...['figure', 'spread', 'to reach', 'floor', 'ratio'].map((name) => ({
        name,
        alignment: 'right' as const,
      })),
      { name: 'reached', alignment: 'left' },
    ],
  })
  for (const { name, size, unit, rows } of results) {
    for (const row of rows)
      table.addRow({ name: `${name} (${number(size)} ${unit})`, ...cells(row) }, colourOf(row))
  }
  table.printTable()
}

function cells(row: RowResult): Record<string, string> {
  const { value, floorValue, ratio, isReached } = row
  return {
    what: row.means,
    figure: `${number(value.median)} ${row.unit}`,
    spread: value.min === value.max ? '' : `${number(value.min)} … ${number(value.max)}`,
    'to reach': wanted(row),
    floor: floorValue === null ? '' : number(floorValue),
    ratio: ratio === null ? '' : number(ratio),
    reached: isReached === null ? '' : isReached ? 'yes' : 'NO',
  }
}

function colourOf(row: RowResult): { color?: string } {
  return row.isReached === false ? { color: 'red' } : {}
}

function wanted({ target, shareAtLeast }: Row): string {
  const parts: string[] = []
  if (target !== null)
    parts.push('atLeast' in target ? `≥ ${number(target.atLeast)}` : `≤ ${number(target.atMost)}`)
  if (shareAtLeast !== undefined) parts.push(`≥ ${number(shareAtLeast * 100)} % of floor`)
  return parts.join(', ')
}

function number(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 100 ? 2 : 0 })
}
