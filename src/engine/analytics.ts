/** Everything countable about a batch, folded from its records in one pass; and several batches as one. */
import type { Blobs } from '../blobs/blobs.ts'
import { type Batch, isEnded } from '../domain/batch.ts'
import type { BatchAnalytics, CombinedAnalytics, CostEstimate, WindowUse } from '../domain/figures.ts'
import { ANALYSES_KEPT_MAX } from '../domain/limits.ts'
import { costPicos } from '../domain/price.ts'
import type { Clock } from '../lib/clock.ts'
import { scanRecords } from '../results/record-scan.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { addFold, compacted, type Fold, foldOne, newFold, presentFold } from './analytics-fold.ts'
import { findModels } from './line-models.ts'
import type { PriceBook } from './price-book.ts'

export type AnalyticsParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  clock: Clock
  prices: PriceBook
  /** What would have been said of the batch when it was created. */
  estimate: (batch: Batch) => Promise<CostEstimate | null>
}

/** `fold` is what `analytics` was made of, to be added to others. */
type Analysis = { fold: Fold; analytics: BatchAnalytics }

export type AnalyticsService = {
  one(batch: Batch): Promise<BatchAnalytics>
  /** Their sum, to the last unit. */
  combined(batches: readonly Batch[]): Promise<CombinedAnalytics>
}

export function createAnalytics(parts: AnalyticsParts): AnalyticsService {
  /** An ended batch's records never change, so neither does its analysis. */
  const kept = new Map<string, Analysis>()
  /** One analysis at a time, so that many callers need no more memory than one; those who ask for the same batch share it. */
  const running = new Map<string, Promise<Analysis>>()
  let last: Promise<unknown> = Promise.resolve()

  const run = async (batch: Batch): Promise<Analysis> => {
    const fold = compacted(await foldBatch(batch, parts))
    const window = windowUse(batch, parts.clock.now())
    const estimate = await parts.estimate(batch)
    const analysis = { fold, analytics: { ...presentFold(fold), window, estimate } }
    if (isEnded(batch.status)) {
      const [oldest] = kept.keys()
      if (kept.size >= ANALYSES_KEPT_MAX && oldest !== undefined) kept.delete(oldest)
      kept.set(batch.id, analysis)
    }
    return analysis
  }

  const analyse = async (batch: Batch): Promise<Analysis> => {
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

  return {
    one: async (batch) => (await analyse(batch)).analytics,
    async combined(batches) {
      const sum = newFold([])
      for (const batch of batches) addFold(sum, (await analyse(batch)).fold)
      return { ...presentFold(sum), batchIds: batches.map(({ id }) => id) }
    },
  }
}

async function foldBatch(batch: Batch, parts: AnalyticsParts): Promise<Fold> {
  const lookup = await findModels(batch, parts)
  const fold = newFold(lookup.names)
  fold.linesTotal = batch.linesTotal
  const { inProgressAt } = batch
  // A batch that did not validate, or was cancelled before it started, has no records.
  if (inProgressAt !== null) {
    fold.beganAt = inProgressAt
    fold.endedAt = endOf(batch) ?? parts.clock.now()
    for await (const page of parts.results.recordPages(batch.seq)) {
      scanRecords(page, (record) =>
        foldOne(fold, record, { share: fold.models[lookup.of(record.lineIndex)] ?? null, inProgressAt }),
      )
    }
  }
  for (const share of fold.models) {
    const price = parts.prices.at({ model: share.model, window: batch.window }, batch.createdAt)
    share.picos = price === null ? null : costPicos(price, share.tokens)
  }
  return fold
}

function windowUse(batch: Batch, now: number): WindowUse {
  const endedAt = endOf(batch) ?? batch.failedAt ?? now
  const windowMs = batch.expiresAt - batch.createdAt
  const usedMs = Math.max(0, endedAt - batch.createdAt)
  return {
    window: batch.window,
    windowMs,
    usedMs,
    share: windowMs > 0 ? usedMs / windowMs : 0,
    lateMs: Math.max(0, endedAt - batch.expiresAt),
  }
}

function endOf(batch: Batch): number | null {
  return batch.completedAt ?? batch.expiredAt ?? batch.cancelledAt
}
