/** What is said about batches and files in numbers. Unknown is null, never zero; amounts are decimal text. */
import type { Outcome } from './batch.ts'
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

/** Exact count of the values from `fromMs` to just below `toMs`. */
export type HistogramBucket = { fromMs: number; toMs: number; count: number }

export const latencyNames = ['queue', 'firstByte', 'upstream', 'total'] as const
/**
 * queue: from the start of the batch to the first call. firstByte, upstream: of the last call. total: from the first call to the
 * moment in which the line ended, waits between attempts included.
 */
export type LatencyName = (typeof latencyNames)[number]

/** Lines that ended within one width of time, and their tokens. */
export type ThroughputPoint = {
  startAt: number
  succeeded: number
  failed: number
  promptTokens: number
  completionTokens: number
}

export type Analytics = {
  /** Lines that have their record; the rest is not counted in anything below. */
  requests: { total: number; completed: number; failed: number; expired: number; cancelled: number }
  tokens: { prompt: number; cached: number; completion: number; reasoning: number; usageUnknown: number }
  /** Milliseconds; null when no line has the figure. */
  latency: Record<LatencyName, Quantiles | null>
  histograms: Record<LatencyName, HistogramBucket[]>
  attempts: {
    calls: number
    /** Calls beyond a line's first. */
    retried: number
    /** Calls whose answer is no line of the output file. */
    wasted: number
    /** Lines by their number of calls; the last entry holds all from there on. */
    perLine: { attempts: number; lines: number }[]
  }
  /** Lines that did not succeed, the most frequent first; `httpStatus` null: there was no answer. */
  errors: { outcome: 'failed' | 'expired' | 'cancelled'; httpStatus: number | null; lines: number }[]
  /** At most THROUGHPUT_POINTS_MAX points, without gaps; null while no line has ended. */
  throughput: { bucketMs: number; points: ThroughputPoint[] } | null
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

/** Time from the creation of a batch to its end, or to now, against its window. */
export type WindowUse = { window: string; windowMs: number; usedMs: number; share: number; lateMs: number }

/** `estimate` is what would have been said of the input when the batch was created; null when the input is gone or has no lines. */
export type BatchAnalytics = Analytics & { window: WindowUse; estimate: CostEstimate | null }

/** Several batches as one: wall time is from the start of the first to the end of the last. */
export type CombinedAnalytics = Analytics & { batchIds: string[] }

export type CostBound = { inputTokens: number; outputTokens: number; cost: string | null }

export type CostEstimate = {
  fileId: string
  window: string
  currency: string
  totalRequests: number
  inputTokens: number
  outputTokens: number
  cost: string | null
  isPriced: boolean
  low: CostBound
  high: CostBound
  /** One sentence for people: on what it rests. */
  basis: string
  /** Answered lines of earlier batches that it rests on, and how many batches those are. */
  history: { lines: number; batches: number }
  models: {
    model: string
    requests: number
    inputTokens: number
    outputTokens: number
    cost: string | null
    isPriced: boolean
    low: CostBound
    high: CostBound
    restsOn: { input: string; output: string }
    history: { lines: number; batches: number }
  }[]
}

/** One request of a batch, and what became of it. */
export type RequestFacts = {
  batchId: string
  /** When the batch began. */
  inProgressAt: number
  lineIndex: number
  /** Physical line of the input, from 1; null when the input is gone. */
  lineNumber: number | null
  customId: string | null
  model: string | null
  /** What its record says; null: the line has not ended. */
  ended: {
    outcome: Outcome
    httpStatus: number
    attempts: number
    startedAt: number
    recordedAt: number
    upstreamMs: number
    firstByteMs: number
    usage: {
      promptTokens: number
      cachedTokens: number
      completionTokens: number
      reasoningTokens: number
    } | null
  } | null
  /** Name; null when none was called. */
  upstream: string | null
  /** Bytes of the request's body and of the whole result line, as they are stored; null when not asked for, or gone. */
  input: Uint8Array | null
  output: Uint8Array | null
}

/** Sums are kept by the hour: `sinceAt` and `untilAt` are taken to the hours around them. */
export type UsageQuery = {
  sinceAt: number
  untilAt: number
  /** `model`, `upstream`, `window`, `key`, `batch`, or `metadata:NAME`, also written `tag:NAME`. */
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
