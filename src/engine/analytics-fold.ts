/** What is folded from the records of a batch, and the sum of several such folds. Every number in it is exact. */
import { emptyTally, type Outcome, type Tally } from '../domain/batch.ts'
import {
  type Analytics,
  type HistogramBucket,
  type LatencyName,
  latencyNames,
  type Quantiles,
} from '../domain/figures.ts'
import { ATTEMPTS_MAX } from '../domain/limits.ts'
import { decimalOf, SIMULATED_PREFIX } from '../domain/price.ts'
import { addTally, foldRecord, type LineRecord } from '../results/record.ts'
import {
  addLatencies,
  histogramOf,
  type Latencies,
  newLatencies,
  note,
  quantiles,
  trimmed,
} from './latencies.ts'
import { addThroughput, newThroughput, noteEnd, pointsOf, type Throughput } from './throughput.ts'

/** Rate limits use up no attempt: a line may have more calls than ATTEMPTS_MAX, which all count into the last entry. */
const ATTEMPTS_SHOWN_MAX = 2 * ATTEMPTS_MAX

/** `picos`: null without a price. */
type ModelShare = { model: string; lines: number; tokens: Tally; picos: bigint | null }

export type Fold = {
  linesTotal: number
  tally: Tally
  calls: number
  retried: number
  /** Succeeded lines that had a call of this process. */
  useful: number
  /** Lines by calls; place 0 are those that had none. */
  linesByAttempts: number[]
  /** Lines that did not succeed, by `${outcome} ${httpStatus}`. */
  errors: Map<string, Analytics['errors'][number]>
  latency: Record<LatencyName, Latencies>
  throughput: Throughput
  models: ModelShare[]
  /** Start of the first batch and end of the last, server time in ms; null when none has begun. */
  beganAt: number | null
  endedAt: number | null
}

export function newFold(models: readonly string[]): Fold {
  return {
    linesTotal: 0,
    tally: { ...emptyTally },
    calls: 0,
    retried: 0,
    useful: 0,
    linesByAttempts: Array.from({ length: ATTEMPTS_SHOWN_MAX + 1 }, () => 0),
    errors: new Map(),
    latency: eachLatency(newLatencies),
    throughput: newThroughput(),
    models: models.map((model) => ({ model, lines: 0, tokens: { ...emptyTally }, picos: null })),
    beganAt: null,
    endedAt: null,
  }
}

/** @param context.share the model's, or null where it is not known */
export function foldOne(
  fold: Fold,
  record: LineRecord,
  context: { share: ModelShare | null; inProgressAt: number },
): void {
  const { attempts, outcome, startedAt } = record
  foldRecord(fold.tally, record)
  if (context.share !== null) {
    context.share.lines += 1
    foldRecord(context.share.tokens, record)
  }
  noteEnd(fold.throughput, record)
  if (outcome !== 'succeeded') addError(fold, { outcome, httpStatus: record.httpStatus || null, lines: 1 })
  const place = Math.min(attempts, ATTEMPTS_SHOWN_MAX)
  fold.linesByAttempts[place] = (fold.linesByAttempts[place] ?? 0) + 1
  if (attempts === 0) return
  fold.calls += attempts
  fold.retried += attempts - 1
  if (outcome === 'succeeded') fold.useful += 1
  const { latency } = fold
  note(latency.queue, startedAt - context.inProgressAt)
  note(latency.upstream, record.upstreamMs)
  note(latency.total, record.recordedAt - startedAt)
  if (record.firstByteMs > 0 || record.httpStatus > 0) note(latency.firstByte, record.firstByteMs)
}

/** To be kept: the same in less memory. */
export function compacted(fold: Fold): Fold {
  return { ...fold, latency: eachLatency((name) => trimmed(fold.latency[name])) }
}

/** Adds in place. */
export function addFold(sum: Fold, more: Fold): void {
  sum.linesTotal += more.linesTotal
  addTally(sum.tally, more.tally)
  sum.calls += more.calls
  sum.retried += more.retried
  sum.useful += more.useful
  for (const [place, lines] of more.linesByAttempts.entries())
    sum.linesByAttempts[place] = (sum.linesByAttempts[place] ?? 0) + lines
  for (const error of more.errors.values()) addError(sum, error)
  for (const name of latencyNames) addLatencies(sum.latency[name], more.latency[name])
  addThroughput(sum.throughput, more.throughput)
  for (const { model, lines, tokens, picos } of more.models) {
    const known = sum.models.find((share) => share.model === model)
    if (known === undefined) {
      sum.models.push({ model, lines, tokens: { ...tokens }, picos })
      continue
    }
    known.lines += lines
    addTally(known.tokens, tokens)
    known.picos = known.picos === null || picos === null ? null : known.picos + picos
  }
  sum.beganAt = edge(Math.min, sum.beganAt, more.beganAt)
  sum.endedAt = edge(Math.max, sum.endedAt, more.endedAt)
}

export function presentFold(fold: Fold): Analytics {
  const { tally, models } = fold
  const wallMs =
    fold.beganAt === null || fold.endedAt === null ? null : Math.max(0, fold.endedAt - fold.beganAt)
  const seconds = wallMs === null || wallMs === 0 ? null : wallMs / 1000
  const isPriced = models.length > 0 && models.every(({ picos }) => picos !== null)
  return {
    requests: {
      total: fold.linesTotal,
      completed: tally.completed,
      failed: tally.failed,
      expired: tally.expired,
      cancelled: tally.cancelled,
    },
    tokens: {
      prompt: tally.promptTokens,
      cached: tally.cachedTokens,
      completion: tally.completionTokens,
      reasoning: tally.reasoningTokens,
      usageUnknown: tally.usageUnknown,
    },
    latency: eachLatency<Quantiles | null>((name) => quantiles(fold.latency[name])),
    histograms: eachLatency<HistogramBucket[]>((name) => histogramOf(fold.latency[name])),
    attempts: {
      calls: fold.calls,
      retried: fold.retried,
      wasted: fold.calls - fold.useful,
      perLine: fold.linesByAttempts
        .map((lines, attempts) => ({ attempts, lines }))
        .filter(({ lines }) => lines > 0),
    },
    errors: [...fold.errors.values()].toSorted((a, b) => b.lines - a.lines),
    throughput: pointsOf(fold.throughput),
    wallMs,
    requestsPerSecond: seconds === null ? null : (tally.completed + tally.failed) / seconds,
    tokensPerSecond: seconds === null ? null : (tally.promptTokens + tally.completionTokens) / seconds,
    models: models.map(({ model, lines, tokens, picos }) => ({
      model,
      lines,
      promptTokens: tokens.promptTokens,
      completionTokens: tokens.completionTokens,
      cost: picos === null ? null : decimalOf(picos),
    })),
    cost: isPriced ? decimalOf(models.reduce((sum, { picos }) => sum + (picos ?? 0n), 0n)) : null,
    isPriced,
    isSimulated: models.length > 0 && models.every(({ model }) => model.startsWith(SIMULATED_PREFIX)),
  }
}

function addError(fold: Fold, error: { outcome: Outcome; httpStatus: number | null; lines: number }): void {
  const { outcome, httpStatus, lines } = error
  if (outcome === 'succeeded') return
  const name = `${outcome} ${httpStatus}`
  const known = fold.errors.get(name)
  if (known === undefined) fold.errors.set(name, { outcome, httpStatus, lines })
  else known.lines += lines
}

function eachLatency<T>(make: (name: LatencyName) => T): Record<LatencyName, T> {
  return {
    queue: make('queue'),
    firstByte: make('firstByte'),
    upstream: make('upstream'),
    total: make('total'),
  }
}

function edge(choose: (a: number, b: number) => number, a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return choose(a, b)
}
