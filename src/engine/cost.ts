/** What a file would cost in a window: estimated tokens times configured prices. No price is not zero. */
import { type Batch, isEndpoint } from '../domain/batch.ts'
import type { CostBound, CostEstimate } from '../domain/figures.ts'
import type { Inspection } from '../domain/file.ts'
import { costPicos, decimalOf, type Price } from '../domain/price.ts'
import { basisOf, estimateTokens, type TokenCount, type TokenHistory } from '../jsonl/estimate.ts'
import type { Store } from '../store/store.ts'
import { learnTokens } from './estimate-history.ts'
import type { PriceBook } from './price-book.ts'

type EstimateParts = { store: Store; prices: PriceBook; currency: string }

/** From what is known now. */
export async function estimateFile(
  file: { id: string; tenantId: string; inspection: Inspection },
  { window, now }: { window: string; now: number },
  parts: EstimateParts,
): Promise<CostEstimate> {
  const [endpoint = ''] = file.inspection.endpoints
  const { models } = file.inspection
  const history = await learnTokens({ tenantId: file.tenantId, endpoint, models, before: null }, parts.store)
  return costOf(file, { window, at: now, history }, parts)
}

/** What would have been said when the batch was created. @returns null when its input is gone or no batch could be made of it */
export async function estimateBatch(batch: Batch, parts: EstimateParts): Promise<CostEstimate | null> {
  const file = await parts.store.files.getEvenDeleted(batch.inputFileId)
  if (file === null || file.inspection === null || batch.inProgressAt === null) return null
  const { tenantId, endpoint, window, createdAt } = batch
  const { models } = file.inspection
  const history = await learnTokens({ tenantId, endpoint, models, before: batch }, parts.store)
  return costOf({ id: file.id, inspection: file.inspection }, { window, at: createdAt, history }, parts)
}

function costOf(
  { id, inspection }: { id: string; inspection: Inspection },
  facts: { window: string; at: number; history: ReadonlyMap<string, TokenHistory> },
  { prices, currency }: EstimateParts,
): CostEstimate {
  const [endpoint = ''] = inspection.endpoints
  const estimates = estimateTokens(inspection.models, isEndpoint(endpoint) ? endpoint : null, facts.history)
  const models = estimates.map((estimate) => {
    const price = prices.at({ model: estimate.model, window: facts.window }, facts.at)
    const { cachedTokens, low, high } = estimate
    return {
      ...estimate,
      price,
      picos: picosOf(price, estimate, cachedTokens),
      low: { ...low, picos: picosOf(price, low, cachedTokens) },
      // Nobody promises that a cache holds what it held before.
      high: { ...high, picos: picosOf(price, high, 0) },
    }
  })
  const total = boundOf(models)
  return {
    fileId: id,
    window: facts.window,
    currency,
    totalRequests: inspection.lines,
    ...total,
    isPriced: total.cost !== null,
    low: boundOf(models.map(({ low }) => low)),
    high: boundOf(models.map(({ high }) => high)),
    basis: basisOf(estimates),
    history: {
      lines: models.reduce((sum, { history }) => sum + history.lines, 0),
      batches: models.reduce((most, { history }) => Math.max(most, history.batches), 0),
    },
    models: models.map((share) => ({
      model: share.model,
      requests: share.requests,
      ...boundOf([share]),
      isPriced: share.price !== null,
      low: boundOf([share.low]),
      high: boundOf([share.high]),
      restsOn: share.restsOn,
      history: share.history,
    })),
  }
}

type Counted = TokenCount & { picos: bigint | null }

function picosOf(price: Price | null, tokens: TokenCount, cachedTokens: number): bigint | null {
  const { inputTokens: promptTokens, outputTokens: completionTokens } = tokens
  return price === null ? null : costPicos(price, { promptTokens, cachedTokens, completionTokens })
}

/** Their sum; without a cost as soon as one of them has no price. */
function boundOf(counted: readonly Counted[]): CostBound {
  const isPriced = counted.length > 0 && counted.every(({ picos }) => picos !== null)
  return {
    inputTokens: counted.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
    outputTokens: counted.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
    cost: isPriced ? decimalOf(counted.reduce((sum, { picos }) => sum + (picos ?? 0n), 0n)) : null,
  }
}
