/** Everything countable about a batch, folded from its records in one pass: exact counts, percentiles from a histogram of milliseconds. */
import { build, type Histogram } from 'hdr-histogram-js'
import type { Blobs } from '../blobs/blobs.ts'
import { type Batch, emptyTally, isEnded, type Tally } from '../domain/batch.ts'
import type { ServerConfig } from '../domain/config.ts'
import type { Analytics, Quantiles } from '../domain/figures.ts'
import type { StoredFile } from '../domain/file.ts'
import { ANALYSES_KEPT_MAX, WINDOW_LINES_MAX } from '../domain/limits.ts'
import { costPicos, decimalOf, priceOf, SIMULATED_PREFIX } from '../domain/price.ts'
import type { Clock } from '../lib/clock.ts'
import { foldRecord, type LineRecord } from '../results/record.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { createLineReader } from './line-reader.ts'

export type AnalyticsParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  clock: Clock
  config: ServerConfig
}

/** Guess: a day in milliseconds is the longest latency that a histogram tells apart. */
const LATENCY_MS_MAX = 86_400_000
const SIGNIFICANT_DIGITS = 3

export function createAnalytics(parts: AnalyticsParts) {
  /** An ended batch's records never change, so neither does its analysis. */
  const kept = new Map<string, Analytics>()
  return async (batch: Batch): Promise<Analytics> => {
    const known = kept.get(batch.id)
    if (known !== undefined) return known
    const analytics = await analyse(batch, parts)
    if (isEnded(batch.status)) {
      const [oldest] = kept.keys()
      if (kept.size >= ANALYSES_KEPT_MAX && oldest !== undefined) kept.delete(oldest)
      kept.set(batch.id, analytics)
    }
    return analytics
  }
}

type Fold = {
  tally: Tally
  calls: number
  lastRecordedAt: number
  queue: Histogram
  firstByte: Histogram
  upstream: Histogram
  models: { model: string; lines: number; tokens: Tally }[]
}

async function analyse(batch: Batch, parts: AnalyticsParts): Promise<Analytics> {
  const file = await parts.store.files.getEvenDeleted(batch.inputFileId)
  const modelAt = await modelLookup(batch, file, parts)
  const fold: Fold = {
    tally: { ...emptyTally },
    calls: 0,
    lastRecordedAt: 0,
    queue: newHistogram(),
    firstByte: newHistogram(),
    upstream: newHistogram(),
    models: modelAt.names.map((model) => ({ model, lines: 0, tokens: { ...emptyTally } })),
  }
  // A batch that did not validate, or was cancelled before it started, has no records.
  if (batch.inProgressAt !== null) {
    for await (const page of parts.results.records(batch.seq)) {
      for (const record of page) foldOne(fold, record, { batch, modelNumber: modelAt.of(record.lineIndex) })
    }
  }
  return present(batch, fold, parts)
}

function foldOne(fold: Fold, record: LineRecord, context: { batch: Batch; modelNumber: number }): void {
  foldRecord(fold.tally, record)
  fold.calls += record.attempts
  fold.lastRecordedAt = Math.max(fold.lastRecordedAt, record.recordedAt)
  const share = fold.models[context.modelNumber]
  if (share !== undefined) {
    share.lines += 1
    foldRecord(share.tokens, record)
  }
  if (record.attempts === 0) return
  note(fold.queue, record.startedAt - (context.batch.inProgressAt ?? record.startedAt))
  note(fold.upstream, record.upstreamMs)
  if (record.firstByteMs > 0 || record.httpStatus > 0) note(fold.firstByte, record.firstByteMs)
}

function present(batch: Batch, fold: Fold, parts: AnalyticsParts): Analytics {
  const { tally } = fold
  const endedAt = batch.completedAt ?? batch.expiredAt ?? batch.cancelledAt ?? parts.clock.now()
  const wallMs = batch.inProgressAt === null ? null : Math.max(0, endedAt - batch.inProgressAt)
  const seconds = wallMs === null || wallMs === 0 ? null : wallMs / 1000
  const models = fold.models.map(({ model, lines, tokens }) => {
    const price = priceOf(parts.config.prices, model, batch.window)
    const picos = price === null ? null : costPicos(price, tokens)
    return {
      model,
      lines,
      promptTokens: tokens.promptTokens,
      completionTokens: tokens.completionTokens,
      picos,
    }
  })
  const isPriced = models.length > 0 && models.every(({ picos }) => picos !== null)
  const answered = tally.completed + tally.failed
  return {
    requests: {
      total: batch.linesTotal,
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
    latency: {
      queue: quantiles(fold.queue),
      firstByte: quantiles(fold.firstByte),
      upstream: quantiles(fold.upstream),
    },
    attempts: { calls: fold.calls, retried: Math.max(0, fold.calls - answered) },
    wallMs,
    requestsPerSecond: seconds === null ? null : answered / seconds,
    tokensPerSecond: seconds === null ? null : (tally.promptTokens + tally.completionTokens) / seconds,
    models: models.map(({ picos, ...rest }) => ({ ...rest, cost: picos === null ? null : decimalOf(picos) })),
    cost: isPriced ? decimalOf(models.reduce((sum, { picos }) => sum + (picos ?? 0n), 0n)) : null,
    isPriced,
    isSimulated: models.length > 0 && models.every(({ model }) => model.startsWith(SIMULATED_PREFIX)),
  }
}

/** Which model each line asks for. One byte pair per line, and only when the file has several models. */
async function modelLookup(
  batch: Batch,
  file: StoredFile | null,
  parts: AnalyticsParts,
): Promise<{ names: string[]; of: (lineIndex: number) => number }> {
  const names = file?.inspection?.models.map(({ model }) => model) ?? []
  if (file === null || names.length <= 1) return { names, of: () => 0 }
  const numbers = new Uint16Array(batch.linesTotal)
  const reader = createLineReader(parts.blobs, file)
  for (let from = 0; from < batch.linesTotal; from += WINDOW_LINES_MAX) {
    const entries = await reader.entries(from, Math.min(batch.linesTotal, from + WINDOW_LINES_MAX))
    for (const entry of entries) numbers[entry.lineIndex] = entry.modelNumber
  }
  return { names, of: (lineIndex) => numbers[lineIndex] ?? 0 }
}

function newHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MS_MAX,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
  })
}

function note(histogram: Histogram, ms: number): void {
  histogram.recordValue(Math.min(LATENCY_MS_MAX, Math.max(0, Math.round(ms))))
}

function quantiles(histogram: Histogram): Quantiles | null {
  if (histogram.totalCount === 0) return null
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile)
  return { mean: histogram.mean, p50: at(50), p90: at(90), p95: at(95), p99: at(99), max: histogram.maxValue }
}
