/** Writes the table of `docs/reliability.md`, between its marks, from what the last full runs of the torture suites recorded. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../test/kit/server-process.ts'
import { lastRun, type RecordedRun } from '../torture/results.ts'

const suites = ['kill', 'points', 'process', 'torn', 'disk', 'upstream', 'clock', 'input', 'soak']
const BEGIN = '<!-- runs: made by tools/make-reliability.ts -->'
const END = '<!-- end of runs -->'

/** @returns the document with its table made anew */
export function withRuns(document: string): string {
  const from = document.indexOf(BEGIN)
  const to = document.indexOf(END)
  if (from === -1 || to < from) throw new Error('the document has no place for the runs')
  return `${document.slice(0, from + BEGIN.length)}\n\n${table()}\n${document.slice(to)}`
}

function table(): string {
  const runs = suites.map(lastRun).filter((run) => run !== null)
  const head =
    '| Suite | Size | Passed | Violations | Seed | Date | Commit | Took |\n|---|---|---|---|---|---|---|---|\n'
  return `${head}${runs.map(row).join('')}\n${runs.map(details).join('\n')}`
}

function row(run: RecordedRun): string {
  const size = run.minutes === null ? run.cycles.toLocaleString('en') : `${run.minutes} min`
  const cells = [
    `\`${run.name}\``,
    size,
    run.passed.toLocaleString('en'),
    String(run.violations.length),
    String(run.seed),
    run.at.slice(0, 10),
    run.commit,
    `${Math.ceil(run.seconds / 60)} min`,
  ]
  return `| ${cells.join(' | ')} |\n`
}

/** A longer list is folded away. */
const SHOWN_MAX = 24

function details(run: RecordedRun): string {
  const survived = Object.entries(run.survived).map(
    ([what, times]) => `${what}: ${times.toLocaleString('en')}`,
  )
  const list = `Survived: ${survived.join('; ')}.`
  const shown =
    survived.length <= SHOWN_MAX
      ? list
      : `<details>\n<summary>${survived.length} kinds of harm were survived</summary>\n\n${list}\n\n</details>`
  return `### \`${run.name}\`\n\n${shown}\n\n${run.figures.map((figure) => `- ${figure}\n`).join('')}`
}

if (import.meta.main) {
  const path = join(projectFolder, 'docs', 'reliability.md')
  writeFileSync(path, withRuns(readFileSync(path, 'utf8')))
}
