/** What ended batches used, by hour, model and upstream: written in the commit that ends them. */
import type { UsageRow } from '../domain/usage.ts'
import { type Database, type Step, step } from './database.ts'
import type { UsageTable } from './schema.ts'
import type { UsageStore } from './store.ts'

export function createUsageStore(database: Database): UsageStore {
  return {
    async page(tenantId, { sinceAt, untilAt, after, limit }) {
      const query = database.build
        .selectFrom('usage')
        .innerJoin('batches', 'batches.id', 'usage.batch_id')
        .selectAll('usage')
        .select(['batches.seq', 'batches.window', 'batches.key_id', 'batches.metadata', 'batches.created_at'])
        .where('batches.tenant_id', '=', tenantId)
        .where('usage.hour_at', '>=', sinceAt)
        .where('usage.hour_at', '<', untilAt)
        .orderBy('batches.seq')
        .orderBy('usage.hour_at')
        .orderBy('usage.model')
        .orderBy('usage.upstream_number')
        .limit(limit)
      const later =
        after === null
          ? query
          : query.where(({ eb, refTuple, tuple }) =>
              eb(
                refTuple('batches.seq', 'usage.hour_at', 'usage.model', 'usage.upstream_number'),
                '>',
                tuple(after.seq, after.hourAt, after.model, after.upstreamNumber),
              ),
            )
      const [{ rows, isCut }] = await database.read(later.compile())
      return {
        hasMore: isCut || rows.length === limit,
        items: rows.map((row) => ({
          seq: row.seq,
          // Written by this folder.
          metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as Record<string, string>),
          window: row.window,
          keyId: row.key_id,
          createdAt: row.created_at,
          ...usageOfRow(row),
        })),
      }
    },
    async ofBatches(batchIds, limit) {
      if (batchIds.length === 0) return []
      const query = database.build
        .selectFrom('usage')
        .selectAll()
        .where('batch_id', 'in', [...batchIds])
        .orderBy('batch_id', 'desc')
        .orderBy('hour_at')
        .limit(limit)
      const [{ rows }] = await database.read(query.compile())
      return rows.map(usageOfRow)
    },
  }
}

/** Belongs into the unit that ends the batch. */
export function usageSteps({ build }: Database, batchId: string, usage: readonly UsageRow[]): Step[] {
  return usage.map((row) => {
    const { batch_id, hour_at, model, upstream_number, ...counts } = rowOfUsage(batchId, row)
    const insert = build
      .insertInto('usage')
      .values({ batch_id, hour_at, model, upstream_number, ...counts })
      .onConflict((conflict) =>
        conflict.columns(['batch_id', 'hour_at', 'model', 'upstream_number']).doUpdateSet(counts),
      )
    return step(insert.compile(), 1)
  })
}

function rowOfUsage(batchId: string, row: UsageRow): UsageTable {
  return {
    batch_id: batchId,
    hour_at: row.hourAt,
    model: row.model,
    upstream_number: row.upstreamNumber,
    succeeded: row.succeeded,
    failed: row.failed,
    expired: row.expired,
    cancelled: row.cancelled,
    calls: row.calls,
    prompt_tokens: row.promptTokens,
    cached_tokens: row.cachedTokens,
    completion_tokens: row.completionTokens,
    reasoning_tokens: row.reasoningTokens,
    usage_unknown: row.usageUnknown,
  }
}

function usageOfRow(row: UsageTable): UsageRow & { batchId: string } {
  return {
    batchId: row.batch_id,
    hourAt: row.hour_at,
    model: row.model,
    upstreamNumber: row.upstream_number,
    succeeded: row.succeeded,
    failed: row.failed,
    expired: row.expired,
    cancelled: row.cancelled,
    calls: row.calls,
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    reasoningTokens: row.reasoning_tokens,
    usageUnknown: row.usage_unknown,
  }
}
