/** Analytics and estimates, from the domain to the wire. Amounts are decimal text; what is unknown stays null. */
import type { Analytics, CostEstimate, Quantiles } from '../domain/figures.ts'
import type { WireAnalytics, WireCostEstimate, WireQuantiles } from './wire.ts'

const NOT_SET = 'not set'

export function presentAnalytics(batchId: string, view: Analytics, currency: string): WireAnalytics {
  const { requests, tokens, latency } = view
  const total = tokens.prompt + tokens.completion
  return {
    object: 'batch.analytics',
    batch_id: batchId,
    requests: { ...requests },
    tokens: {
      prompt: tokens.prompt,
      cached: tokens.cached,
      completion: tokens.completion,
      reasoning: tokens.reasoning,
      total,
      usage_unknown: tokens.usageUnknown,
    },
    latency_ms: {
      queue: rounded(latency.queue),
      first_byte: rounded(latency.firstByte),
      upstream: rounded(latency.upstream),
    },
    attempts: { ...view.attempts },
    wall_seconds: view.wallMs === null ? null : view.wallMs / 1000,
    requests_per_second: figure(view.requestsPerSecond),
    tokens_per_second: figure(view.tokensPerSecond),
    models: view.models.map((share) => ({
      model: share.model,
      lines: share.lines,
      prompt_tokens: share.promptTokens,
      completion_tokens: share.completionTokens,
      cost: share.cost,
    })),
    currency,
    total_cost: view.cost,
    priced: view.isPriced,
    simulated: view.isSimulated,
    total_requests: requests.completed,
    total_prompt_tokens: tokens.prompt,
    total_completion_tokens: tokens.completion,
    total_tokens: total,
    avg_duration_ms: figure(latency.upstream?.mean ?? null),
    avg_ttfb_ms: figure(latency.firstByte?.mean ?? null),
  }
}

export function presentEstimate(view: CostEstimate): WireCostEstimate {
  return {
    object: 'file.cost_estimate',
    file_id: view.fileId,
    completion_window: view.window,
    currency: view.currency,
    total_requests: view.totalRequests,
    total_estimated_input_tokens: view.inputTokens,
    total_estimated_output_tokens: view.outputTokens,
    total_estimated_cost: view.cost ?? NOT_SET,
    priced: view.isPriced,
    basis: view.basis,
    models: view.models.map((share) => ({
      model: share.model,
      request_count: share.requests,
      estimated_input_tokens: share.inputTokens,
      estimated_output_tokens: share.outputTokens,
      estimated_cost: share.cost ?? NOT_SET,
      priced: share.isPriced,
    })),
  }
}

function rounded(quantiles: Quantiles | null): WireQuantiles | null {
  return quantiles === null ? null : { ...quantiles, mean: Math.round(quantiles.mean * 10) / 10 }
}

function figure(value: number | null): number | null {
  return value === null ? null : Math.round(value * 100) / 100
}
