/** What several batch commands read from their arguments, and how batches look as rows. */
import { readFileSync } from 'node:fs'
import { styleText } from 'node:util'
import type { WireBatch } from '../../contract/wire.ts'
import {
  METADATA_KEY_CHARACTERS_MAX,
  METADATA_PAIRS_MAX,
  METADATA_VALUE_CHARACTERS_MAX,
} from '../../domain/limits.ts'
import { windowMs } from '../../domain/window.ts'
import { messageOf } from '../../lib/errors.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatCount, formatInstant } from '../format.ts'
import type { Output, View } from '../output.ts'
import { type Allowance, parseAllowance, standingOf, stateWords } from '../summary-outcome.ts'
import { textOption } from './input.ts'

export { pasteable } from '../pasteable.ts'

const WINDOW_DEFAULT = '24h'

export function requireId(input: CommandInput): string {
  const id = input.arguments[0]?.trim() ?? ''
  if (id === '') throw usageError('Name the id of a batch.', '`dw batches list` shows them.')
  return id
}

/** Ids given as words, then those of `--from-file`; each once. @throws CliError usage */
export function requireIds(input: CommandInput): string[] {
  const path = textOption(input, 'fromFile')
  const all = [...input.arguments, ...(path === null ? [] : readIds(path))].map((id) => id.trim())
  const ids = [...new Set(all.filter((id) => id !== ''))]
  if (ids.length > 0) return ids
  if (path !== null) throw usageError(`${path} holds no batch ids.`)
  throw usageError(
    'Name at least one batch id, or a file of ids with --from-file.',
    '`dw batches list` shows them.',
  )
}

function readIds(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/)
    return lines.filter((line) => !line.trimStart().startsWith('#'))
  } catch (thrown) {
    throw usageError(`--from-file ${path} cannot be read: ${messageOf(thrown)}`)
  }
}

/** @throws CliError usage */
export function windowOption(input: CommandInput): string {
  const text = textOption(input, 'completionWindow') ?? WINDOW_DEFAULT
  if (windowMs(text) === null) throw usageError(`'${text}' is no completion window.`, 'Write 24h or 1h.')
  return text
}

/** @returns null without any @throws CliError usage */
export function metadataOption(input: CommandInput): Record<string, string> | null {
  const given = input.options.metadata
  const items = Array.isArray(given) ? given : typeof given === 'string' ? [given] : []
  if (items.length === 0) return null
  const pairs = items.map((item: string): [string, string] => {
    const at = item.indexOf('=')
    if (at <= 0)
      throw usageError(`--metadata ${item}: expected KEY=VALUE.`, 'For example --metadata project=evals')
    const pair: [string, string] = [item.slice(0, at), item.slice(at + 1)]
    if (pair[0].length > METADATA_KEY_CHARACTERS_MAX)
      throw usageError(
        `--metadata: the key '${pair[0].slice(0, 20)}…' has more than ${METADATA_KEY_CHARACTERS_MAX} characters.`,
      )
    if (pair[1].length > METADATA_VALUE_CHARACTERS_MAX)
      throw usageError(
        `--metadata: the value of '${pair[0]}' has more than ${METADATA_VALUE_CHARACTERS_MAX} characters.`,
      )
    return pair
  })
  const metadata = Object.fromEntries(pairs)
  if (Object.keys(metadata).length < pairs.length) throw usageError('--metadata names a key twice.')
  if (pairs.length > METADATA_PAIRS_MAX)
    throw usageError(`--metadata: ${pairs.length} pairs; the limit is ${METADATA_PAIRS_MAX}.`)
  return metadata
}

/** From `--allow-failures`, else DW_ALLOW_FAILURES; null without either. @throws CliError usage */
export function allowanceOption(input: CommandInput, env: NodeJS.ProcessEnv): Allowance | null {
  const flag = textOption(input, 'allowFailures')
  const text = flag ?? env.DW_ALLOW_FAILURES ?? ''
  if (text === '' && flag === null) return null
  const allowance = parseAllowance(text)
  if (allowance !== null) return allowance
  const name = flag === null ? 'DW_ALLOW_FAILURES' : '--allow-failures'
  throw usageError(`${name} '${text}': expected a number such as 10, or a part such as 5%.`)
}

type BatchColumn = View<WireBatch>['columns'][number]

/** With the columns of a terminal from which on each is shown: an id is never cut, other columns give way to it. */
const batchColumns: readonly (BatchColumn & { columnsMin: number })[] = [
  { columnsMin: 0, title: 'ID', value: (batch) => batch.id },
  { columnsMin: 0, title: 'Status', value: stateWords },
  { columnsMin: 0, title: 'Progress', value: progressWords, isNumber: true },
  { columnsMin: 140, title: 'Endpoint', value: (batch) => batch.endpoint },
  { columnsMin: 112, title: 'Window', value: (batch) => batch.completion_window },
  { columnsMin: 105, title: 'Created', value: (batch) => formatInstant(batch.created_at * 1_000) },
]

export function batchView(output: Pick<Output, 'tableColumns'>): View<WireBatch> {
  const available = output.tableColumns()
  const columns = batchColumns.filter(({ columnsMin }) => columnsMin <= available)
  return {
    columns,
    isNarrowed: columns.length < batchColumns.length,
    plain: (batch) => [batch.id, batch.status],
  }
}

function progressWords(batch: WireBatch): string {
  const { total, succeeded, failed } = standingOf(batch)
  return total === 0 ? '-' : `${formatCount(succeeded + failed)}/${formatCount(total)}`
}

/** Bold words on a terminal, plain ones elsewhere. */
export function emphasised(text: string, context: CommandContext): string {
  return context.output.isColoured ? styleText('bold', text, { validateStream: false }) : text
}
