/**
 * Measures what estimates, webhooks and figures of large batches are worth, on real servers, prints the table, and writes it into
 * docs/estimates.md between its marks.
 *
 *   npm run figures -- [--lines N] [--no-write]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { givenMaterial } from '../test/kit/given-material.ts'
import { projectFolder } from '../test/kit/server-process.ts'
import { measureEstimates, type Trial } from './figures/estimates.ts'
import type { Figure } from './figures/figure.ts'
import { measureLarge, measureWebhook } from './figures/speed.ts'

const BEGIN = '<!-- figures: made by tools/figures.ts -->'
const END = '<!-- end of figures -->'
const LINES = 1_000_000

type Measured = { trials: Trial[]; figures: Figure[]; distribution: string }

/** @returns the document with its table made anew */
export function withFigures(document: string, table: string): string {
  const from = document.indexOf(BEGIN)
  const to = document.indexOf(END)
  if (from === -1 || to < from) throw new Error('the document has no place for the figures')
  return `${document.slice(0, from + BEGIN.length)}\n\n${table}\n${document.slice(to)}`
}

export function tableOf({ trials, figures, distribution }: Measured): string {
  const percent = (part: number): string => `${(part * 100).toFixed(1)} %`
  const rows = figures.map(
    ({ name, value, target, isMet }) => `| ${name} | ${value} | ${target} | ${isMet ? 'yes' : '**no**'} |`,
  )
  const batches = trials.map(
    (trial) =>
      `| \`${trial.model}\` | ${trial.history} | ${percent(trial.input)} | ${percent(trial.cost)} | ${trial.isWithin ? 'yes' : 'no'} | ${trial.basis} |`,
  )
  return [
    '| Figure | Measured | Wanted | Reached |\n|---|---|---|---|',
    ...rows,
    '',
    distribution,
    '',
    '| Model | Batches before | Prompt tokens off by | Cost off by | Cost within low and high | Rests on |\n|---|---|---|---|---|---|',
    ...batches,
    '',
  ].join('\n')
}

async function measure(lines: number): Promise<Measured> {
  const say = (text: string): void => console.error(text)
  if (!existsSync(givenMaterial.questions))
    throw new Error(`needs ${givenMaterial.questions}, the questions of GSM8K`)
  const estimates = await measureEstimates()
  say('estimates measured')
  const webhook = await measureWebhook()
  say('webhooks measured')
  const large = await measureLarge(lines, say)
  return { ...estimates, figures: [...estimates.figures, ...webhook, ...large] }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { lines: { type: 'string', default: String(LINES) }, write: { type: 'boolean', default: true } },
    allowNegative: true,
  })
  const measured = await measure(Number(values.lines))
  const today = new Date().toISOString().slice(0, 10)
  const machine = `${today}, Node ${process.version}, ${availableParallelism()} processors; the server runs from its sources, beside the engine and the client.`
  const table = `${machine}\n\n${tableOf(measured)}`
  console.log(table)
  const path = join(projectFolder, 'docs', 'estimates.md')
  if (values.write) writeFileSync(path, withFigures(readFileSync(path, 'utf8'), table))
  if (measured.figures.some(({ isMet }) => !isMet)) process.exitCode = 1
}
