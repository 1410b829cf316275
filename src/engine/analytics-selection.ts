/** Which batches a combined analysis is of. */
import type { Batch } from '../domain/batch.ts'
import { ANALYTICS_BATCHES_LOOKED_AT_MAX, ANALYTICS_BATCHES_MAX, BATCH_LIST_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'
import type { Store } from '../store/store.ts'

/** Batches by their ids, or those created from `sinceAt` to before `untilAt`. */
export type AnalyticsWanted = { ids: readonly string[] } | { sinceAt: number; untilAt: number }

/** @throws RefusedError `not_found` (404) for an id; `too_many_batches` when the span has more than one analysis takes */
export async function selectBatches(
  tenantId: string,
  wanted: AnalyticsWanted,
  { batches }: Pick<Store, 'batches'>,
): Promise<Batch[]> {
  return 'ids' in wanted ? byId(tenantId, wanted.ids, batches) : bySpan(tenantId, wanted, batches)
}

async function byId(tenantId: string, ids: readonly string[], batches: Store['batches']): Promise<Batch[]> {
  const found: Batch[] = []
  for (const id of new Set(ids)) {
    const batch = await batches.get(id, tenantId)
    if (batch === null)
      throw new RefusedError('not_found', `No batch found with id '${id}'.`, { status: 404, param: 'batch' })
    found.push(batch)
  }
  return found
}

async function bySpan(
  tenantId: string,
  { sinceAt, untilAt }: { sinceAt: number; untilAt: number },
  batches: Store['batches'],
): Promise<Batch[]> {
  const found: Batch[] = []
  let after: string | null = null
  for (let lookedAt = 0; lookedAt < ANALYTICS_BATCHES_LOOKED_AT_MAX; ) {
    const page = await batches.list(tenantId, { activeFirst: false, after, limit: BATCH_LIST_MAX })
    found.push(...page.items.filter(({ createdAt }) => createdAt >= sinceAt && createdAt < untilAt))
    const last = page.items.at(-1)
    if (found.length > ANALYTICS_BATCHES_MAX) break
    if (last === undefined || !page.hasMore || last.createdAt < sinceAt) return found
    lookedAt += page.items.length
    after = last.id
  }
  throw new RefusedError(
    'too_many_batches',
    `One analysis takes at most ${ANALYTICS_BATCHES_MAX} batches, and this span of time has more or lies too far back: narrow it, or name the batches.`,
    { param: 'since' },
  )
}
