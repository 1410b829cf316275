/** The words at the end of a batch. They come from its counts: any failure shows in the first line. Pure. */
import type { WireBatch } from '../contract/wire.ts'
import { cutTo, formatCount, formatDuration, formatNumber } from './format.ts'
import { findingLines } from './summary-findings.ts'
import { type FailureGroup, kindWords } from './summary-groups.ts'
import { extrasOf, type Standing, standingOf, stateWords } from './summary-outcome.ts'

/** What the summary shows of a group. */
type ShownGroup = Pick<FailureGroup, 'status' | 'code' | 'example' | 'count'>

export type SummaryFacts = {
  batch: WireBatch
  groups: readonly ShownGroup[]
  /** Failed lines that the groups were made of; null when they could not be read. */
  groupedLines: number | null
  isSimulated: boolean
  /** Tokens whose number is known, and the answers that stated none. */
  tokens: { input: number; output: number; unknownLines: number } | null
  /** Amount with its currency, or `no price set`; null where the server does not say. */
  cost: string | null
}

/** Required by the reference: the three most frequent. */
const GROUPS_SHOWN = 3
const EXAMPLE_COLUMNS_MAX = 160
const SIMULATED_PREFIX = 'sim/'

export function isSimulatedModel(model: string | null | undefined): boolean {
  return model?.startsWith(SIMULATED_PREFIX) ?? false
}

export function summaryLines(facts: SummaryFacts): string[] {
  const { batch } = facts
  const standing = standingOf(batch)
  const lines = [`${batch.id}: ${headline(batch, standing)}`]
  if (batch.status === 'failed') lines.push(...indented(inputFaults(batch)))
  else lines.push(`  ${countsLine(standing)}${wallWords(batch)}`)
  if (facts.tokens !== null && standing.succeeded > 0) lines.push(`  ${tokensLine(facts.tokens)}`)
  if (facts.isSimulated) lines.push('  SIMULATED: no model was called')
  else if (facts.cost !== null) lines.push(`  cost: ${facts.cost}`)
  const halt = extrasOf(batch)?.halt_reason ?? null
  if (halt !== null) lines.push(`  stopped by the server: ${halt}`)
  lines.push(...groupLines(facts, standing))
  return lines
}

function headline(batch: WireBatch, standing: Standing): string {
  if (batch.status === 'failed') return 'failed: the input is not valid, nothing was run'
  const isClean = batch.status === 'completed' && standing.total > 0 && standing.succeeded === standing.total
  return isClean ? `completed, all ${formatNumber(standing.total, 'request')} succeeded` : stateWords(batch)
}

/** `9,958 succeeded, 42 failed, 0 missing of 10,000 requests`. */
export function countsLine(standing: Standing): string {
  const parts = [`${formatCount(standing.succeeded)} succeeded`, `${formatCount(standing.failed)} failed`]
  if (standing.unanswered > 0) parts.push(`${formatCount(standing.unanswered)} not run`)
  if (standing.isEnded) parts.push(`${formatCount(standing.missing)} missing`)
  return `${parts.join(', ')} of ${formatNumber(standing.total, 'request')}`
}

function wallWords(batch: WireBatch): string {
  const endedAt = batch.completed_at ?? batch.expired_at ?? batch.cancelled_at ?? batch.failed_at
  if (typeof endedAt !== 'number') return ''
  const seconds = Math.max(0, endedAt - batch.created_at)
  // Both instants are whole seconds.
  return seconds === 0 ? ' in less than 1s' : ` in ${formatDuration(seconds * 1_000)}`
}

export function tokensLine(tokens: NonNullable<SummaryFacts['tokens']>): string {
  const unknown =
    tokens.unknownLines === 0 ? '' : ` (${formatNumber(tokens.unknownLines, 'answer')} stated none)`
  return `tokens: ${formatCount(tokens.input)} in, ${formatCount(tokens.output)} out${unknown}`
}

/** What was wrong with the input of a batch that failed; nothing otherwise. */
export function inputFaults(batch: WireBatch): string[] {
  const findings = (batch.errors?.data ?? []).map(({ code, message, param, line }) => ({
    code,
    message,
    param,
    lineNumber: line,
  }))
  return findingLines(findings, extrasOf(batch)?.findings_total ?? findings.length)
}

function groupLines({ groups, groupedLines }: SummaryFacts, standing: Standing): string[] {
  const faulty = standing.failed + standing.unanswered
  if (faulty === 0) return []
  if (groupedLines === null) return ['  why they failed could not be read; the error file has it']
  if (groups.length === 0) return []
  const isPart = groupedLines < faulty
  const most = `the first ${formatCount(groupedLines)} of ${formatCount(faulty)}`
  return [isPart ? `  why they failed (${most}):` : '  why they failed:', ...topGroupLines(groups)]
}

/** `400 content_filter: the message`. */
export function groupWords(group: Pick<ShownGroup, 'status' | 'code' | 'example'>): string {
  return group.example === '' ? kindWords(group) : `${kindWords(group)}: ${group.example}`
}

/** The most frequent kinds, one a line. */
export function topGroupLines(groups: readonly ShownGroup[]): string[] {
  const width = formatCount(groups[0]?.count ?? 0).length
  const line = (count: number, words: string): string =>
    `    ${formatCount(count).padStart(width)} × ${cutTo(words, EXAMPLE_COLUMNS_MAX)}`
  const others = groups.slice(GROUPS_SHOWN)
  const otherLines = others.reduce((sum, group) => sum + group.count, 0)
  return [
    ...groups.slice(0, GROUPS_SHOWN).map((group) => line(group.count, groupWords(group))),
    ...(others.length > 0 ? [line(otherLines, formatNumber(others.length, 'other kind'))] : []),
  ]
}

/** What a person may want to do now, as the words of commands. */
export function nextCommands(batches: readonly WireBatch[]): string[][] {
  const withResults = batches.filter((batch) => batch.output_file_id || batch.error_file_id)
  const commands: string[][] = []
  if (withResults.length > 0)
    commands.push(['batches', 'results', ...withResults.map(({ id }) => id), '-o', 'results.jsonl'])
  for (const { batch, standing } of batches.map((one) => ({ batch: one, standing: standingOf(one) }))) {
    if (standing.failed + standing.unanswered === 0) continue
    const isCancelled = batch.status === 'cancelled' && standing.unanswered > 0
    commands.push(['batches', 'retry', batch.id, ...(isCancelled ? ['--include-cancelled'] : [])])
  }
  return commands.slice(0, NEXT_COMMANDS_MAX)
}

/** Guess: more would push what happened off the screen. */
const NEXT_COMMANDS_MAX = 6

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
