/**
 * What was used over time. Ended batches have their sums in the store, written in the commit that ended them; those of live ones are
 * folded from their records when somebody asks. Both come from the records alone, so the totals are those of the requests.
 */
import type { Blobs } from '../blobs/blobs.ts'
import type { Batch } from '../domain/batch.ts'
import { isEnded } from '../domain/batch.ts'
import type { UsageGroup, UsageQuery, UsageReport } from '../domain/figures.ts'
import { BATCH_LIST_MAX, USAGE_LIVE_MAX, USAGE_PAGE, USAGE_ROWS_MAX } from '../domain/limits.ts'
import { costPicos, decimalOf } from '../domain/price.ts'
import { addUsage, HOUR_MS, NO_UPSTREAM, noUsage, type UsageRow } from '../domain/usage.ts'
import { RefusedError } from '../lib/errors.ts'
import type { LineRecord } from '../results/record.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { BatchUsage, Store } from '../store/store.ts'
import { findModels, type ModelLookup } from './line-models.ts'
import type { PriceBook } from './price-book.ts'

export type UsageParts = { store: Store; blobs: Blobs; results: ResultLog; prices: PriceBook }

/** Sums of a batch's records as they are now. */
export async function foldUsage(
  batch: Batch,
  { results, models }: { results: ResultLog; models: ModelLookup },
): Promise<UsageRow[]> {
  // One that did not validate, or was cancelled before it started, has no records.
  if (batch.inProgressAt === null) return []
  const rows = new Map<string, UsageRow>()
  for await (const page of results.records(batch.seq)) {
    for (const record of page) {
      const modelNumber = models.of(record.lineIndex)
      const hourAt = record.recordedAt - (record.recordedAt % HOUR_MS)
      const { upstreamNumber } = record
      const name = `${hourAt} ${upstreamNumber} ${modelNumber}`
      let row = rows.get(name)
      if (row === undefined) {
        row = { ...noUsage, hourAt, upstreamNumber, model: models.names[modelNumber] ?? '' }
        rows.set(name, row)
      }
      addRecord(row, record)
    }
  }
  return [...rows.values()]
}

function addRecord(row: UsageRow, record: LineRecord): void {
  row[record.outcome] += 1
  row.calls += record.attempts
  if (record.usage === null) {
    if (record.outcome === 'succeeded') row.usageUnknown += 1
    return
  }
  row.promptTokens += record.usage.promptTokens
  row.cachedTokens += record.usage.cachedTokens
  row.completionTokens += record.usage.completionTokens
  row.reasoningTokens += record.usage.reasoningTokens
}

/** @throws RefusedError `usage_too_large` when the span holds more than one answer may sum */
export async function reportUsage(
  tenantId: string,
  query: UsageQuery,
  parts: UsageParts,
): Promise<UsageReport> {
  const upstreams = await parts.store.upstreams.numbers()
  const groups = new Map<string, Sum>()
  const seen = new Set<string>()
  const add = (row: BatchUsage): void => addRow(groups, row, { query, prices: parts.prices, upstreams })
  // Live ones first: one that ends meanwhile is met again among the ended, and counts there.
  const live = await liveUsage(tenantId, query, parts)
  for await (const row of endedUsage(tenantId, query, parts)) {
    seen.add(row.batchId)
    add(row)
  }
  for (const row of live.rows) if (!seen.has(row.batchId)) add(row)
  return {
    groups: [...groups.values()]
      .toSorted((a, b) => (a.sums.bucketAt ?? 0) - (b.sums.bucketAt ?? 0) || (a.name < b.name ? -1 : 1))
      .map(present),
    liveBatchesLeftOut: live.leftOut,
  }
}

async function* endedUsage(
  tenantId: string,
  query: UsageQuery,
  parts: UsageParts,
): AsyncGenerator<BatchUsage> {
  let after: BatchUsage | null = null
  for (let rows = 0; ; ) {
    const page = await parts.store.usage.page(tenantId, { ...hoursOf(query), after, limit: USAGE_PAGE })
    yield* page.items
    rows += page.items.length
    after = page.items.at(-1) ?? after
    if (!page.hasMore || page.items.length === 0) return
    if (rows >= USAGE_ROWS_MAX) {
      throw new RefusedError(
        'usage_too_large',
        'There is too much in this span of time: narrow since and until.',
        {
          param: 'since',
        },
      )
    }
  }
}

async function liveUsage(
  tenantId: string,
  query: UsageQuery,
  parts: UsageParts,
): Promise<{ rows: BatchUsage[]; leftOut: number }> {
  const rows: BatchUsage[] = []
  const { sinceAt, untilAt } = hoursOf(query)
  let folded = 0
  let leftOut = 0
  for (let after = 0; ; ) {
    const page = await parts.store.batches.live({ after, limit: BATCH_LIST_MAX })
    for (const batch of page) {
      if (batch.tenantId !== tenantId || isEnded(batch.status)) continue
      folded += 1
      if (folded > USAGE_LIVE_MAX) {
        leftOut += 1
        continue
      }
      const { id: batchId, seq, window, keyId, metadata, createdAt } = batch
      for (const row of await foldUsage(batch, { ...parts, models: await findModels(batch, parts) })) {
        if (row.hourAt < sinceAt || row.hourAt >= untilAt) continue
        rows.push({ ...row, batchId, seq, window, keyId, metadata, createdAt })
      }
    }
    const last = page.at(-1)
    if (last === undefined || page.length < BATCH_LIST_MAX) return { rows, leftOut }
    after = last.seq
  }
}

/** Sums are kept by the hour: a span begins and ends with one. */
function hoursOf({ sinceAt, untilAt }: UsageQuery): { sinceAt: number; untilAt: number } {
  return { sinceAt: sinceAt - (sinceAt % HOUR_MS), untilAt: Math.ceil(untilAt / HOUR_MS) * HOUR_MS }
}

type Sum = { name: string; sums: Omit<UsageGroup, 'cost' | 'isPriced'>; picos: bigint; isPriced: boolean }

function addRow(
  groups: Map<string, Sum>,
  row: BatchUsage,
  facts: { query: UsageQuery; prices: PriceBook; upstreams: ReadonlyMap<number, string> },
): void {
  const { query, prices, upstreams } = facts
  const bucketAt = query.bucketMs === null ? null : row.hourAt - (row.hourAt % query.bucketMs)
  const upstream =
    row.upstreamNumber === NO_UPSTREAM
      ? null
      : (upstreams.get(row.upstreamNumber) ?? `number ${row.upstreamNumber}`)
  const by = query.by.map((dimension): [string, string | null] => {
    const colon = dimension.indexOf(':')
    // `tag:NAME` and `metadata:NAME` are the same.
    if (colon !== -1) return [dimension, row.metadata?.[dimension.slice(colon + 1)] ?? null]
    const values: Record<string, string | null> = {
      model: row.model === '' ? null : row.model,
      upstream,
      window: row.window,
      key: row.keyId,
      batch: row.batchId,
    }
    return [dimension, values[dimension] ?? null]
  })
  const name = JSON.stringify([bucketAt, by])
  let sum = groups.get(name)
  if (sum === undefined) {
    sum = { name, sums: { ...noUsage, bucketAt, by: Object.fromEntries(by) }, picos: 0n, isPriced: true }
    groups.set(name, sum)
  }
  addUsage(sum.sums, row)
  const price = prices.at({ model: row.model, window: row.window }, row.createdAt)
  // Lines that no engine answered cost nothing, priced or not.
  if (price !== null) sum.picos += costPicos(price, row)
  else if (row.succeeded + row.failed > 0) sum.isPriced = false
}

function present({ sums, picos, isPriced }: Sum): UsageGroup {
  return { ...sums, cost: isPriced ? decimalOf(picos) : null, isPriced }
}
