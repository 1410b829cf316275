/** How a run came out: in words, as one object, and as an exit code. Decided from what was read, not from what a service counted. */
import type { Client } from '../../client/client.ts'
import type { WireAnalytics, WireBatch } from '../../contract/wire.ts'
import { decimalOf, picosOf } from '../../domain/price.ts'
import type { CommandContext } from '../command.ts'
import { formatCount, formatDuration, formatLatency, formatNumber, oneLine } from '../format.ts'
import type { View } from '../output.ts'
import { countsLine, inputFaults, isSimulatedModel, tokensLine, topGroupLines } from '../summary.ts'
import { exitCodeOf, extrasOf, type Standing } from '../summary-outcome.ts'
import { costWords, optional } from './batches-facts.ts'
import { emphasised, pasteable } from './batches-options.ts'
import type { RunResults } from './run-results.ts'
import type { Job } from './run-send.ts'

/** What the server alone can tell; null where it cannot. */
type Figures = {
  tokens: RunResults['tokens']
  cost: string | null
  latency: { p50: number; p95: number } | null
}

/** Guess: batches that are asked for their figures one by one. */
const ANALYTICS_MAX = 50
const BATCHES_SHOWN_MAX = 6

/** @returns the exit code */
export async function report(job: Job, batches: readonly WireBatch[], results: RunResults): Promise<number> {
  const { context, settings } = job
  const standing = standingOfRun(batches, results)
  const exit = exitCodeOf(standing, settings.allowance)
  const figures = await figuresOf(job.client, batches, results)
  const [first = '', ...more] = words(job, { batches, results, standing, figures })
  context.output.say(['', emphasised(first, context), ...more].join('\n'))
  if (settings.outputPath !== null && context.output.format !== 'table')
    context.output.object(runObject({ job, batches, results, standing, figures, exit }), runView)
  return exit
}

/** A run is as good as its worst batch. */
function standingOfRun(batches: readonly WireBatch[], results: RunResults): Standing {
  const { requests, counts, missing, duplicates, unknown, unreadable } = results
  return {
    status: batches.find(({ status }) => status !== 'completed')?.status ?? 'completed',
    isEnded: true,
    total: requests,
    succeeded: counts.succeeded,
    failed: counts.failed,
    unanswered: counts.expired + counts.cancelled,
    // Lines that should not be are as little a success as lines that should.
    missing: missing + duplicates + unknown + unreadable,
  }
}

async function figuresOf(
  client: Client,
  batches: readonly WireBatch[],
  results: RunResults,
): Promise<Figures> {
  const known: WireAnalytics[] = []
  for (const batch of batches.slice(0, ANALYTICS_MAX)) {
    const one = extrasOf(batch) === null ? null : await optional(client.batches.analytics(batch.id))
    if (one !== null) known.push(one)
  }
  const [first] = known
  if (first === undefined || known.length < batches.length)
    return { tokens: results.tokens, cost: null, latency: null }
  const latency = known.length === 1 ? first.latency_ms.upstream : null
  return {
    tokens: {
      input: known.reduce((sum, { tokens }) => sum + tokens.prompt, 0),
      output: known.reduce((sum, { tokens }) => sum + tokens.completion, 0),
      unknownLines: known.reduce((sum, { tokens }) => sum + tokens.usage_unknown, 0),
    },
    cost: costWords({ ...first, ...sumOfCosts(known) }),
    latency: latency === null ? null : { p50: latency.p50, p95: latency.p95 },
  }
}

function sumOfCosts(all: readonly WireAnalytics[]): Pick<WireAnalytics, 'total_cost' | 'priced'> {
  const picos = all.map(({ total_cost, priced }) =>
    priced && total_cost !== null ? picosOf(total_cost) : null,
  )
  if (picos.includes(null)) return { total_cost: null, priced: false }
  return { total_cost: decimalOf(picos.reduce<bigint>((sum, one) => sum + (one ?? 0n), 0n)), priced: true }
}

type Facts = { batches: readonly WireBatch[]; results: RunResults; standing: Standing; figures: Figures }

function words(job: Job, { batches, results, standing, figures }: Facts): string[] {
  const { input, settings } = job
  const { counts, missing, paths, groups } = results
  const faulty = standing.failed + standing.unanswered
  const isClean =
    standing.status === 'completed' && standing.succeeded === standing.total && standing.missing === 0
  const lines = [
    `${oneLine(input.source.name)}: ${isClean ? `completed, all ${formatNumber(standing.total, 'request')} succeeded` : stateOf(standing, results)}`,
  ]
  const shown = { ...standing, missing }
  lines.push(`  ${countsLine(shown)}${wallWords(batches)}`)
  if (figures.tokens !== null && counts.succeeded > 0) lines.push(`  ${tokensLine(figures.tokens)}`)
  if (input.models.some(({ model }) => isSimulatedModel(model)))
    lines.push('  SIMULATED: no model was called')
  else if (figures.cost !== null) lines.push(`  cost: ${figures.cost}`)
  if (figures.latency !== null)
    lines.push(
      `  latency: p50 ${formatLatency(figures.latency.p50)}, p95 ${formatLatency(figures.latency.p95)}`,
    )
  if (groups.length > 0) lines.push('  why they failed:', ...topGroupLines(groups))
  lines.push(...faultLines(batches), ...oddityLines(results), ...missingLines(results))
  if (settings.outputPath !== null)
    lines.push(`  answers: ${settings.outputPath}${standing.status === 'completed' ? '' : ' (PARTIAL)'}`)
  if (faulty > 0) lines.push(`  failed requests: ${whereErrors(job, batches, paths.errors)}`)
  // The server is gone when they are read.
  if (job.context.isServerOwn === true) return lines
  return [...lines, ...nextLines(batches, { faulty, cancelled: counts.cancelled })]
}

function stateOf({ status, failed, unanswered }: Standing, results: RunResults): string {
  const { missing, duplicates, unknown, unreadable } = results
  const parts = [status]
  if (failed > 0) parts.push(`${formatCount(failed)} failed`)
  if (unanswered > 0) parts.push(`${formatCount(unanswered)} not run`)
  if (missing > 0) parts.push(`${formatCount(missing)} missing`)
  const odd = duplicates + unknown + unreadable
  if (odd > 0) parts.push(`${formatNumber(odd, 'line')} too many`)
  return `${parts.join(', ')}${status === 'completed' ? '' : ' (PARTIAL results)'}`
}

function wallWords(batches: readonly WireBatch[]): string {
  const ends = batches.map(
    (batch) => batch.completed_at ?? batch.expired_at ?? batch.cancelled_at ?? batch.failed_at,
  )
  const known = ends.filter((at) => typeof at === 'number')
  if (known.length === 0 || known.length < batches.length) return ''
  const seconds = Math.max(0, Math.max(...known) - Math.min(...batches.map(({ created_at }) => created_at)))
  // Both instants are whole seconds.
  return seconds === 0 ? ' in less than 1s' : ` in ${formatDuration(seconds * 1_000)}`
}

/** Why batches did not run at all. */
function faultLines(batches: readonly WireBatch[]): string[] {
  const failed = batches.filter(({ status }) => status === 'failed')
  return failed
    .slice(0, BATCHES_SHOWN_MAX)
    .flatMap((batch) => [
      `  ${batch.id} failed, nothing of it was run:`,
      ...inputFaults(batch).map((line) => `    ${line}`),
    ])
}

function oddityLines({ duplicates, unknown, unreadable, paths }: RunResults): string[] {
  const parts = [
    ...(duplicates > 0 ? [`${formatNumber(duplicates, 'line')} of requests that have one already`] : []),
    ...(unknown > 0 ? [`${formatNumber(unknown, 'line')} of no request`] : []),
    ...(unreadable > 0 ? [`${formatNumber(unreadable, 'line')} that cannot be read`] : []),
  ]
  if (parts.length === 0) return []
  return [`  left out: ${parts.join(', ')}${paths.extra === null ? '' : `; they are in ${paths.extra}`}`]
}

function missingLines({ missing, missingIds, paths }: RunResults): string[] {
  if (missing === 0) return []
  const more = missing > missingIds.length ? ` and ${formatCount(missing - missingIds.length)} more` : ''
  const where = paths.missing === null ? '' : `; all of them are in ${paths.missing}`
  return [`  without any line: ${missingIds.map(oneLine).join(', ')}${more}${where}`]
}

function whereErrors({ settings, context }: Job, batches: readonly WireBatch[], path: string | null): string {
  if (settings.includeErrors) return 'among the answers, with their error'
  if (path !== null) return path
  const ids = batches.flatMap((batch) => (batch.error_file_id ? [batch.error_file_id] : []))
  return ids.length === 1 && context.isServerOwn !== true
    ? pasteable(['files', 'content', ...ids])
    : 'name a file with -o to get them'
}

function nextLines(
  batches: readonly WireBatch[],
  { faulty, cancelled }: { faulty: number; cancelled: number },
): string[] {
  if (faulty === 0) return []
  const ids = batches.filter((batch) => batch.error_file_id).map(({ id }) => id)
  const flag = cancelled > 0 ? ['--include-cancelled'] : []
  const commands = ids
    .slice(0, BATCHES_SHOWN_MAX)
    .map((id) => `  ${pasteable(['batches', 'retry', id, ...flag])}`)
  return commands.length === 0 ? [] : ['', 'Next:', ...commands]
}

type Shown = Facts & { job: Job; exit: number }

function runObject({ job, batches, results, standing, figures, exit }: Shown) {
  const { counts, missing, duplicates, unknown, unreadable, paths } = results
  return {
    object: 'run',
    input: job.input.source.name,
    status: standing.status,
    batch_ids: batches.map(({ id }) => id),
    requests: {
      total: standing.total,
      succeeded: counts.succeeded,
      failed: counts.failed,
      expired: counts.expired,
      cancelled: counts.cancelled,
      missing,
    },
    left_out: { duplicate: duplicates, unknown, unreadable },
    missing_ids: results.missingIds,
    tokens: figures.tokens === null ? null : { input: figures.tokens.input, output: figures.tokens.output },
    cost: figures.cost,
    output: job.settings.outputPath,
    errors_output: paths.errors,
    missing_output: paths.missing,
    extra_output: paths.extra,
    exit_code: exit,
  }
}

const runView: View<ReturnType<typeof runObject>> = {
  columns: [
    { title: 'Status', value: ({ status }) => status },
    { title: 'Answers', value: ({ output }) => output ?? '' },
  ],
  id: ({ batch_ids }) => batch_ids.join(' '),
}

/** What a run leaves when its batches ended before anything was run. */
export function tellNothingRan(context: CommandContext, batches: readonly WireBatch[]): void {
  for (const line of faultLines(batches)) context.output.warn(line.trimStart())
  const others = batches.filter(({ status }) => status !== 'failed')
  for (const { id, status } of others) context.output.warn(`${id} is ${status}: there are no results.`)
}
