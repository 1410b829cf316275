/** What a file would cost in a window: estimated tokens times configured prices. No price is not zero. */
import { isEndpoint } from '../domain/batch.ts'
import type { CostEstimate } from '../domain/figures.ts'
import type { Inspection } from '../domain/file.ts'
import { costPicos, decimalOf } from '../domain/price.ts'
import { ESTIMATE_BASIS, estimateTokens } from '../jsonl/estimate.ts'
import type { PriceBook } from './price-book.ts'

export function estimateCost(
  file: { id: string; inspection: Inspection },
  window: string,
  parts: { prices: PriceBook; now: number; currency: string },
): CostEstimate {
  const { inspection } = file
  const [endpoint] = inspection.endpoints
  const estimates = estimateTokens(
    inspection.models,
    endpoint !== undefined && isEndpoint(endpoint) ? endpoint : null,
  )
  const models = estimates.map((estimate) => {
    const price = parts.prices.at({ model: estimate.model, window }, parts.now)
    const tokens = {
      promptTokens: estimate.inputTokens,
      cachedTokens: 0,
      completionTokens: estimate.outputTokens,
    }
    return { ...estimate, picos: price === null ? null : costPicos(price, tokens) }
  })
  const isPriced = models.length > 0 && models.every(({ picos }) => picos !== null)
  return {
    fileId: file.id,
    window,
    currency: parts.currency,
    totalRequests: inspection.lines,
    inputTokens: models.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
    outputTokens: models.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
    cost: isPriced ? decimalOf(models.reduce((sum, { picos }) => sum + (picos ?? 0n), 0n)) : null,
    isPriced,
    basis: ESTIMATE_BASIS,
    models: models.map(({ picos, ...rest }) => ({
      ...rest,
      cost: picos === null ? null : decimalOf(picos),
      isPriced: picos !== null,
    })),
  }
}
