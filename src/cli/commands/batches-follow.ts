/** Watches batches with progress on stderr, and says at the end how they came out. Used by `watch` and by `run --watch`. */
import { type Client, isPassing, UnreachableError } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { errorFacts } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { groupedTroubles } from '../error-report.ts'
import { exitCode } from '../exit-codes.ts'
import { formatCount, formatDuration, formatNumber } from '../format.ts'
import { displayFor } from '../progress-choice.ts'
import { nextCommands, summaryLines } from '../summary.ts'
import { type Allowance, exitCodeOf, firstThatApplies, standingOf } from '../summary-outcome.ts'
import { startWatch, type Watched } from '../watch.ts'
import { summaryFacts } from './batches-facts.ts'
import { batchView, emphasised, pasteable } from './batches-options.ts'
import type { Hooks } from './wait-hooks.ts'

export type FollowOptions = {
  context: CommandContext
  client: Client
  allowance: Allowance | null
  /** As they were made: shown where nothing later is known. */
  created?: readonly WireBatch[]
  /** What is waited for, where not for the end. */
  isEnough?: (batch: WireBatch) => boolean
  timeoutMs?: number | null
  hooks?: Hooks
}

/** Guess: a server that says nothing for so long has lost the question; it is asked again. */
const ANSWER_MS_MAX = 30_000
/** Guess: batches that are told of one by one. */
const SUMMARIES_MAX = 12

/** @returns the exit code */
export async function follow(ids: readonly string[], options: FollowOptions): Promise<number> {
  const { context, client, isEnough, timeoutMs, hooks } = options
  const watch = startWatch(ids, {
    getBatch: (id, signal) => getWithin(client, id, signal),
    isPassing,
    signal: context.signal,
    onChange: () => display.changed(),
    ...(isEnough !== undefined && { isEnough }),
    ...(typeof timeoutMs === 'number' && { deadline: AbortSignal.timeout(timeoutMs) }),
    ...(hooks !== undefined && { onOut: hooks.onOut }),
  })
  const display = displayFor(context.output, { views: watch.views })
  let watched: Watched[]
  try {
    watched = await watch.finished
  } catch (thrown) {
    if (!context.signal.aborted) throw thrown
    display.end()
    const known = new Map((options.created ?? []).map((batch) => [batch.id, batch]))
    for (const batch of watch.known()) known.set(batch.id, batch)
    if (context.output.format !== 'table') context.output.rows([...known.values()], batchView(context.output))
    sayDetached(ids, context)
    return exitCode('interrupted')
  }
  display.end()
  const code = await report(watched, options)
  return hooks === undefined ? code : firstThatApplies([code, await hooks.end(watched)])
}

export async function getWithin(client: Client, id: string, signal: AbortSignal): Promise<WireBatch> {
  const limit = AbortSignal.timeout(ANSWER_MS_MAX)
  try {
    return await client.batches.get(id, AbortSignal.any([signal, limit]))
  } catch (thrown) {
    if (!limit.aborted || signal.aborted) throw thrown
    throw new UnreachableError(client.baseUrl, `no answer within ${ANSWER_MS_MAX / 1_000} s`)
  }
}

function sayDetached(ids: readonly string[], context: CommandContext): void {
  const { output } = context
  output.warn(
    `Stopped watching. ${ids.length === 1 ? 'The batch keeps' : 'The batches keep'} running on the server.`,
  )
  output.warn(`  come back: ${pasteable(['batches', 'watch', ...ids])}`)
  for (const id of ids.slice(0, SUMMARIES_MAX))
    output.warn(`  cancel:    ${pasteable(['batches', 'cancel', id])}`)
}

async function report(watched: readonly Watched[], options: FollowOptions): Promise<number> {
  const { context, client, allowance } = options
  const { output, signal } = context
  const ended = watched.flatMap((one) => (one.kind === 'ended' ? [one.batch] : []))
  const left = watched.flatMap((one) => (one.kind === 'left' ? [one] : []))
  const known = left.flatMap(({ batch }) => (batch === null ? [] : [batch]))
  output.rows([...ended, ...known], batchView(output))
  for (const batch of tellWorth(ended)) {
    const [first = '', ...more] = summaryLines(await summaryFacts(client, batch, signal))
    output.say(['', emphasised(first, context), ...more].join('\n'))
  }
  if (ended.length > 1) output.say(`\n${totalWords(ended)}`)
  const next = nextCommands(ended).map((words) => pasteable(words))
  if (next.length > 0) output.say(['', 'Next:', ...next.map((command) => `  ${command}`)].join('\n'))
  const late = left.filter((one) => !one.isEnough).map(({ id }) => id)
  if (late.length > 0) tellLate(late, options)
  const lost = watched.flatMap((one) =>
    one.kind === 'lost' ? [{ name: one.id, ...errorFacts(one.thrown) }] : [],
  )
  for (const line of groupedTroubles(lost)) output.warn(line)
  const codes = ended.map((batch) => exitCodeOf(standingOf(batch), allowance))
  if (late.length > 0) codes.push(exitCode('stillRunning'))
  return firstThatApplies([...codes, ...lost.map((one) => one.exitCode)])
}

function tellLate(ids: readonly string[], { context, timeoutMs }: FollowOptions): void {
  const which = ids.length === 1 ? (ids[0] ?? '') : formatNumber(ids.length, 'batch', 'batches')
  context.output.warn(`Waited ${formatDuration(timeoutMs ?? 0)}; ${which} did not come so far and runs on.`)
  context.output.warn(`  wait on: ${pasteable(['wait', ...ids])}`)
}

/** All of them while they are few; else those first that did not go well. */
function tellWorth(batches: readonly WireBatch[]): WireBatch[] {
  const isClean = (batch: WireBatch): boolean => exitCodeOf(standingOf(batch), null) === exitCode('ok')
  const sorted =
    batches.length <= SUMMARIES_MAX
      ? batches
      : batches.toSorted((a, b) => Number(isClean(a)) - Number(isClean(b)))
  return sorted.slice(0, SUMMARIES_MAX)
}

function totalWords(batches: readonly WireBatch[]): string {
  const sums = { total: 0, succeeded: 0, failed: 0, unanswered: 0, missing: 0 }
  for (const batch of batches) {
    const standing = standingOf(batch)
    sums.total += standing.total
    sums.succeeded += standing.succeeded
    sums.failed += standing.failed
    sums.unanswered += standing.unanswered
    sums.missing += standing.missing
  }
  const { total, succeeded, failed, unanswered, missing } = sums
  const rest = unanswered === 0 ? '' : ` ${formatCount(unanswered)} not run,`
  return `${formatNumber(batches.length, 'batch', 'batches')}: ${formatCount(succeeded)} succeeded, ${formatCount(failed)} failed,${rest} ${formatCount(missing)} missing of ${formatNumber(total, 'request')}`
}
