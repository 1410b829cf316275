/** The most that a run is expected to cost, for a limit that a person sets. A price that is not known is never taken for none. Pure. */
import type { Endpoint } from '../../domain/batch.ts'
import type { PriceRule } from '../../domain/config.ts'
import type { ModelShare } from '../../domain/file.ts'
import { costPicos, priceOf } from '../../domain/price.ts'
import { estimateTokens, OUTPUT_TOKENS_PER_LINE_MAX } from '../../jsonl/estimate.ts'

/** Required of the estimate: within a quarter of what it comes to. */
const INPUT_MARGIN = 1.25

export type CostBound = {
  expectedPicos: bigint
  /** Every answer as long as its limit lets it be. */
  highestPicos: bigint
}

/** What a server says of one model. */
export type ModelPrices = { isSimulated: boolean; currency: string | null; rules: readonly PriceRule[] }

export type CostFacts = {
  models: readonly ModelShare[]
  endpoint: Endpoint | null
  window: string
  pricesOf: (model: string) => ModelPrices | null
}

/** @returns the first model without a price where there is one */
export function costBound({
  models,
  endpoint,
  window,
  pricesOf,
}: CostFacts): CostBound | { unpriced: string } {
  const bound: CostBound = { expectedPicos: 0n, highestPicos: 0n }
  const estimates = estimateTokens(models, endpoint)
  for (const [place, share] of models.entries()) {
    const prices = pricesOf(share.model)
    if (prices?.isSimulated === true) continue
    const price = priceOf(prices?.rules ?? [], share.model, window)
    const estimate = estimates[place]
    if (price === null || estimate === undefined) return { unpriced: share.model }
    const { inputTokens, outputTokens } = estimate
    const highestOutput = outputTokens === 0 ? 0 : outputMax(share)
    bound.expectedPicos += costPicos(price, tokensOf(inputTokens, outputTokens))
    bound.highestPicos += costPicos(price, tokensOf(Math.ceil(inputTokens * INPUT_MARGIN), highestOutput))
  }
  return bound
}

/** @param share of one model */
function outputMax({ lines, outputTokensLimit, outputTokensLimitLines }: ModelShare): number {
  return outputTokensLimit + (lines - outputTokensLimitLines) * OUTPUT_TOKENS_PER_LINE_MAX
}

function tokensOf(input: number, output: number): Parameters<typeof costPicos>[1] {
  return { promptTokens: input, cachedTokens: 0, completionTokens: output }
}
