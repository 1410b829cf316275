/** Analytics and estimates, from the domain to the wire. Amounts are decimal text; what is unknown stays null. */
import type {
  Analytics,
  BatchAnalytics,
  CombinedAnalytics,
  CostBound,
  CostEstimate,
  LatencyName,
  Quantiles,
} from '../domain/figures.ts'
import type { WireAnalytics, WireCostEstimate, WireQuantiles } from './wire.ts'
import type { WireCombinedAnalytics, WireCostBound, WireLatencyName } from './wire-figures.ts'

const NOT_SET = 'not set'

export function presentAnalytics(batchId: string, view: BatchAnalytics, currency: string): WireAnalytics {
  const { window, estimate } = view
  return {
    object: 'batch.analytics',
    batch_id: batchId,
    ...figures(view, currency),
    window: {
      completion_window: window.window,
      seconds: window.windowMs / 1000,
      used_seconds: window.usedMs / 1000,
      used_share: Math.round(window.share * 10_000) / 10_000,
      late_seconds: window.lateMs / 1000,
    },
    estimate: estimate === null ? null : presentEstimate(estimate),
  }
}

export function presentCombined(view: CombinedAnalytics, currency: string): WireCombinedAnalytics {
  return { object: 'analytics', batch_ids: view.batchIds, ...figures(view, currency) }
}

function figures(
  view: Analytics,
  currency: string,
): Omit<WireAnalytics, 'object' | 'batch_id' | 'window' | 'estimate'> {
  const { requests, tokens, latency, attempts, throughput } = view
  const total = tokens.prompt + tokens.completion
  return {
    requests: { ...requests },
    tokens: {
      prompt: tokens.prompt,
      cached: tokens.cached,
      completion: tokens.completion,
      reasoning: tokens.reasoning,
      total,
      usage_unknown: tokens.usageUnknown,
    },
    latency_ms: eachLatency((name) => rounded(latency[name])),
    histograms_ms: eachLatency((name) =>
      view.histograms[name].map(({ fromMs, toMs, count }) => ({ from: fromMs, to: toMs, requests: count })),
    ),
    attempts: { calls: attempts.calls, retried: attempts.retried, wasted: attempts.wasted },
    requests_by_attempts: attempts.perLine.map(({ attempts: calls, lines }) => ({
      attempts: calls,
      requests: lines,
    })),
    errors: view.errors.map(({ outcome, httpStatus, lines }) => ({
      outcome,
      status_code: httpStatus,
      requests: lines,
    })),
    throughput:
      throughput === null
        ? null
        : {
            bucket_seconds: throughput.bucketMs / 1000,
            points: throughput.points.map((point) => ({
              start: point.startAt / 1000,
              completed: point.succeeded,
              failed: point.failed,
              prompt_tokens: point.promptTokens,
              completion_tokens: point.completionTokens,
            })),
          },
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
    low: boundOf(view.low),
    high: boundOf(view.high),
    basis: view.basis,
    history: { ...view.history },
    models: view.models.map((share) => ({
      model: share.model,
      request_count: share.requests,
      estimated_input_tokens: share.inputTokens,
      estimated_output_tokens: share.outputTokens,
      estimated_cost: share.cost ?? NOT_SET,
      priced: share.isPriced,
      low: boundOf(share.low),
      high: boundOf(share.high),
      rests_on: { ...share.restsOn },
      history: { ...share.history },
    })),
  }
}

function boundOf({ inputTokens, outputTokens, cost }: CostBound): WireCostBound {
  return { input_tokens: inputTokens, output_tokens: outputTokens, cost }
}

function eachLatency<T>(of: (name: LatencyName) => T): Record<WireLatencyName, T> {
  return { queue: of('queue'), first_byte: of('firstByte'), upstream: of('upstream'), total: of('total') }
}

function rounded(quantiles: Quantiles | null): WireQuantiles | null {
  return quantiles === null ? null : { ...quantiles, mean: Math.round(quantiles.mean * 10) / 10 }
}

function figure(value: number | null): number | null {
  return value === null ? null : Math.round(value * 100) / 100
}
