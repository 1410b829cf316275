/** What is said about batches and files in numbers. Unknown is null, never zero; amounts are decimal text. */
import type { UsageCounts } from './usage.ts'

/** What is only in memory about a live batch. */
export type LiveState = {
  /** Null when nothing holds it up; else one sentence: "waiting: 401 from http://…". */
  reason: string | null
  inFlight: number
  requestsPerSecond: number | null
  tokensPerSecond: number | null
  /** Estimated end, server time in ms; null while unknown. */
  etaAt: number | null
}

export type Quantiles = { mean: number; p50: number; p90: number; p95: number; p99: number; max: number }

export type Analytics = {
  /** Lines that have their record; the rest is not counted in anything below. */
  requests: { total: number; completed: number; failed: number; expired: number; cancelled: number }
  tokens: { prompt: number; cached: number; completion: number; reasoning: number; usageUnknown: number }
  /** Milliseconds; null when no line has the figure. */
  latency: { queue: Quantiles | null; firstByte: Quantiles | null; upstream: Quantiles | null }
  attempts: { calls: number; retried: number }
  wallMs: number | null
  requestsPerSecond: number | null
  tokensPerSecond: number | null
  models: {
    model: string
    lines: number
    promptTokens: number
    completionTokens: number
    cost: string | null
  }[]
  /** Decimal text in the configured currency; null where a model has no price for the window. */
  cost: string | null
  isPriced: boolean
  isSimulated: boolean
}

export type CostEstimate = {
  fileId: string
  window: string
  currency: string
  totalRequests: number
  inputTokens: number
  outputTokens: number
  cost: string | null
  isPriced: boolean
  basis: string
  models: {
    model: string
    requests: number
    inputTokens: number
    outputTokens: number
    cost: string | null
    isPriced: boolean
  }[]
}

/** Sums are kept by the hour: `sinceAt` and `untilAt` are taken to the hours around them. */
export type UsageQuery = {
  sinceAt: number
  untilAt: number
  /** `model`, `upstream`, `window`, `key`, `batch`, or `tag:NAME` of the metadata. */
  by: readonly string[]
  /** Width of a bucket, a whole number of hours; null: the whole span is one. */
  bucketMs: number | null
}

export type UsageGroup = UsageCounts & {
  /** Start of the bucket; null without buckets. */
  bucketAt: number | null
  /** Value of each dimension; null where there is none: no upstream was called, no such tag, an unknown model. */
  by: Readonly<Record<string, string | null>>
  /** Decimal text; null where a model had no price for the window when its batch was created. */
  cost: string | null
  isPriced: boolean
}

export type UsageReport = {
  groups: UsageGroup[]
  /** Live batches beyond USAGE_LIVE_MAX, whose lines are not in the sums yet. */
  liveBatchesLeftOut: number
}
