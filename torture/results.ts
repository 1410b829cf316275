/** What runs at full size left behind: one JSON line per run. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SuiteReport } from './suite.ts'

export type RecordedRun = Omit<SuiteReport, 'survived'> & {
  name: string
  seed: number
  defect: string | null
  cycles: number
  minutes: number | null
  seconds: number
  /** ISO 8601. */
  at: string
  commit: string
  node: string
  survived: Readonly<Record<string, number>>
}

export const resultsFolder = join(import.meta.dirname, 'results')

/** The last recorded run of the suite without an injected defect, or null. */
export function lastRun(name: string): RecordedRun | null {
  const path = join(resultsFolder, `${name}.jsonl`)
  if (!existsSync(path)) return null
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  // Only `main.ts` writes these files.
  const runs = lines.map((line) => JSON.parse(line) as RecordedRun)
  return runs.findLast((run) => run.defect === null) ?? null
}
