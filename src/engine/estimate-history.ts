/**
 * What a tenant's latest batches teach about the tokens of its next one. Nothing is stored for it: the sums of ended batches and the
 * inspections of their inputs are, so that a restart forgets nothing, and what was known at an earlier moment can be told again.
 */
import { type Batch, isEnded } from '../domain/batch.ts'
import type { ModelShare } from '../domain/file.ts'
import { HISTORY_BATCHES_MAX, USAGE_PAGE } from '../domain/limits.ts'
import type { UsageRow } from '../domain/usage.ts'
import { countedTokensOf, type TokenHistory } from '../jsonl/estimate.ts'
import type { Store } from '../store/store.ts'

type Sums = Pick<TokenHistory, 'lines' | 'promptTokens' | 'cachedTokens' | 'completionTokens'>

/** @param wanted.before what was known when that batch was created; null: what is known now. @returns by model */
export async function learnTokens(
  wanted: { tenantId: string; endpoint: string; models: readonly ModelShare[]; before: Batch | null },
  store: Store,
): Promise<Map<string, TokenHistory>> {
  const { tenantId, endpoint, models, before } = wanted
  const latest = await store.batches.list(tenantId, {
    activeFirst: false,
    after: before?.id ?? null,
    limit: HISTORY_BATCHES_MAX,
  })
  const usable = latest.items.filter(
    (batch) =>
      batch.endpoint === endpoint &&
      batch.tally.completed > batch.tally.usageUnknown &&
      hadEnded(batch, before),
  )
  const rows = await store.usage.ofBatches(
    usable.map(({ id }) => id),
    USAGE_PAGE,
  )
  const sums = sumByBatchAndModel(rows, new Set(models.map(({ model }) => model)))
  const inputs = new Map(usable.map(({ id, inputFileId }) => [id, inputFileId]))
  const shares = await sharesOf([...new Set([...sums.keys()].map((id) => inputs.get(id) ?? ''))], store)
  const learned = new Map<string, OneBatch[]>()
  for (const [batchId, byModel] of sums) {
    for (const [model, sum] of byModel) {
      const share = shares.get(JSON.stringify([inputs.get(batchId), model]))
      // Without its input nothing is known of the bytes that its tokens came from.
      if (share === undefined) continue
      const part = sum.lines / share.lines
      const counted = countedTokensOf(share)
      const one = {
        ...sum,
        template: share.template ?? null,
        promptBytes: share.promptBytes * part,
        countedTokens: counted === null ? null : counted * part,
      }
      learned.set(model, [...(learned.get(model) ?? []), one])
    }
  }
  return new Map(
    models.flatMap(({ model, template }): [string, TokenHistory][] => {
      const all = learned.get(model)
      if (all === undefined) return []
      const alike = all.filter((one) => template !== undefined && one.template === template)
      const isSameTemplate = alike.length > 0
      return [[model, { ...mergeHistory(isSameTemplate ? alike : all), isSameTemplate }]]
    }),
  )
}

type OneBatch = Sums & { template: string | null; promptBytes: number; countedTokens: number | null }

/** The latest batches as one; each lies some part off the mean of all. */
function mergeHistory(batches: readonly OneBatch[]): Omit<TokenHistory, 'isSameTemplate'> {
  const sum = (of: (one: OneBatch) => number): number => batches.reduce((total, one) => total + of(one), 0)
  const [promptTokens, promptBytes] = [sum((one) => one.promptTokens), sum((one) => one.promptBytes)]
  const [completionTokens, lines] = [sum((one) => one.completionTokens), sum((one) => one.lines)]
  const spread = (mean: number, of: (one: OneBatch) => number): number =>
    mean > 0 ? Math.max(...batches.map((one) => Math.abs(of(one) / mean - 1))) : 0
  const countedTokens = batches.some((one) => one.countedTokens === null)
    ? null
    : sum((one) => one.countedTokens ?? 0)
  const inputOf = (one: OneBatch): number =>
    countedTokens !== null && countedTokens > 0
      ? (one.countedTokens ?? 0)
      : promptBytes > 0
        ? one.promptBytes
        : one.lines
  return {
    batches: batches.length,
    lines,
    promptBytes,
    promptTokens,
    cachedTokens: sum((one) => one.cachedTokens),
    completionTokens,
    countedTokens,
    inputSpread: spread(promptTokens / sum(inputOf), (one) =>
      inputOf(one) > 0 ? one.promptTokens / inputOf(one) : 0,
    ),
    outputSpread: spread(completionTokens / lines, (one) => one.completionTokens / one.lines),
  }
}

function hadEnded(batch: Batch, before: Batch | null): boolean {
  if (!isEnded(batch.status)) return false
  const endedAt = batch.completedAt ?? batch.expiredAt ?? batch.cancelledAt
  return before === null || (endedAt !== null && endedAt <= before.createdAt)
}

function sumByBatchAndModel(
  rows: readonly (UsageRow & { batchId: string })[],
  models: ReadonlySet<string>,
): Map<string, Map<string, Sums>> {
  const batches = new Map<string, Map<string, Sums>>()
  for (const row of rows) {
    const lines = row.succeeded - row.usageUnknown
    if (!models.has(row.model) || lines <= 0) continue
    const byModel = batches.get(row.batchId) ?? new Map<string, Sums>()
    const sum = byModel.get(row.model) ?? { lines: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0 }
    sum.lines += lines
    sum.promptTokens += row.promptTokens
    sum.cachedTokens += row.cachedTokens
    sum.completionTokens += row.completionTokens
    batches.set(row.batchId, byModel.set(row.model, sum))
  }
  return batches
}

/** By file and model. */
async function sharesOf(fileIds: readonly string[], store: Store): Promise<Map<string, ModelShare>> {
  const files = await Promise.all(fileIds.map((id) => store.files.getEvenDeleted(id)))
  return new Map(
    files.flatMap((file) =>
      (file?.inspection?.models ?? []).map((share): [string, ModelShare] => [
        JSON.stringify([file?.id, share.model]),
        share,
      ]),
    ),
  )
}
