/** Everything countable about a batch, folded from its records in one pass: exact counts, percentiles from a histogram of milliseconds. */
import type { Blobs } from '../blobs/blobs.ts'
import { type Batch, emptyTally, isEnded, type Tally } from '../domain/batch.ts'
import type { Analytics } from '../domain/figures.ts'
import { ANALYSES_KEPT_MAX } from '../domain/limits.ts'
import { costPicos, decimalOf, SIMULATED_PREFIX } from '../domain/price.ts'
import type { Clock } from '../lib/clock.ts'
import { foldRecord, type LineRecord } from '../results/record.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { type Latencies, newLatencies, note, quantiles } from './latencies.ts'
import { findModels } from './line-models.ts'
import type { PriceBook } from './price-book.ts'

export type AnalyticsParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  clock: Clock
  prices: PriceBook
}

export function createAnalytics(parts: AnalyticsParts) {
  /** An ended batch's records never change, so neither does its analysis. */
  const kept = new Map<string, Analytics>()
  /** One analysis at a time, so that many callers need no more memory than one; those who ask for the same batch share it. */
  const running = new Map<string, Promise<Analytics>>()
  let last: Promise<unknown> = Promise.resolve()

  const run = async (batch: Batch): Promise<Analytics> => {
    const analytics = await analyse(batch, parts)
    if (isEnded(batch.status)) {
      const [oldest] = kept.keys()
      if (kept.size >= ANALYSES_KEPT_MAX && oldest !== undefined) kept.delete(oldest)
      kept.set(batch.id, analytics)
    }
    return analytics
  }

  return async (batch: Batch): Promise<Analytics> => {
    const known = kept.get(batch.id)
    if (known !== undefined) return known
    // The status belongs to the name: an analysis begun while the batch ran is none of its end.
    const name = `${batch.id} ${batch.status}`
    const shared = running.get(name)
    if (shared !== undefined) return shared
    const started = last.then(() => run(batch)).finally(() => running.delete(name))
    running.set(name, started)
    last = started.catch(() => {
      // Told to those who asked for it; the next analysis has nothing to do with it.
    })
    return started
  }
}

type Fold = {
  tally: Tally
  calls: number
  retried: number
  queue: Latencies
  firstByte: Latencies
  upstream: Latencies
  models: { model: string; lines: number; tokens: Tally }[]
}

async function analyse(batch: Batch, parts: AnalyticsParts): Promise<Analytics> {
  const modelAt = await findModels(batch, parts)
  const fold: Fold = {
    tally: { ...emptyTally },
    calls: 0,
    retried: 0,
    queue: newLatencies(),
    firstByte: newLatencies(),
    upstream: newLatencies(),
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
  const share = fold.models[context.modelNumber]
  if (share !== undefined) {
    share.lines += 1
    foldRecord(share.tokens, record)
  }
  if (record.attempts === 0) return
  fold.calls += record.attempts
  fold.retried += record.attempts - 1
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
    const price = parts.prices.at({ model, window: batch.window }, batch.createdAt)
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
    attempts: { calls: fold.calls, retried: fold.retried },
    wallMs,
    requestsPerSecond: seconds === null ? null : answered / seconds,
    tokensPerSecond: seconds === null ? null : (tally.promptTokens + tally.completionTokens) / seconds,
    models: models.map(({ picos, ...rest }) => ({ ...rest, cost: picos === null ? null : decimalOf(picos) })),
    cost: isPriced ? decimalOf(models.reduce((sum, { picos }) => sum + (picos ?? 0n), 0n)) : null,
    isPriced,
    isSimulated: models.length > 0 && models.every(({ model }) => model.startsWith(SIMULATED_PREFIX)),
  }
}
