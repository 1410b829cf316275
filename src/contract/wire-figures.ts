/** More of the wire: what a batch's requests did one by one, and the figures of analytics that only our server has. */
import type { WireAnalytics } from './wire.ts'

export type WireLatencyName = 'queue' | 'first_byte' | 'upstream' | 'total'

/** Requests whose latency was `from` to just below `to`, in milliseconds. */
export type WireHistogramBucket = { from: number; to: number; requests: number }

export type WireAnalyticsDetails = {
  histograms_ms: Record<WireLatencyName, WireHistogramBucket[]>
  /** Requests that ended and their tokens, point by point and without gaps; null while none has ended. */
  throughput: {
    bucket_seconds: number
    points: {
      start: number
      completed: number
      failed: number
      prompt_tokens: number
      completion_tokens: number
    }[]
  } | null
  /** Requests that did not succeed; `status_code` null: there was no answer. */
  errors: { outcome: 'failed' | 'expired' | 'cancelled'; status_code: number | null; requests: number }[]
  /** The last entry holds those with more attempts too. */
  requests_by_attempts: { attempts: number; requests: number }[]
}

/** Of one batch: its time against its window, and what was expected of it when it was created. */
export type WireWindowUse = {
  completion_window: string
  seconds: number
  used_seconds: number
  /** 1: all of the window. */
  used_share: number
  late_seconds: number
}

/** Several batches as one. Wall time is from the start of the first to the end of the last. */
export type WireCombinedAnalytics = Omit<WireAnalytics, 'object' | 'batch_id' | 'window' | 'estimate'> & {
  object: 'analytics'
  batch_ids: string[]
}

export type WireCostBound = { input_tokens: number; output_tokens: number; cost: string | null }

/** On what an estimate rests; without lines, on a rule of thumb. */
export type WireHistory = { lines: number; batches: number }

export type WireBatchRequest = {
  object: 'batch.request'
  batch_id: string
  /** Place in the input, from 0; blank lines are not counted. */
  index: number
  /** Line of the input file, from 1; null when the file is gone. */
  line: number | null
  /** Null when neither the input nor the results are there any more. */
  custom_id: string | null
  model: string | null
  /** `pending`: not ended. */
  status: 'pending' | 'succeeded' | 'failed' | 'expired' | 'cancelled'
  /** Of the last answer; null when there was none. */
  status_code: number | null
  attempts: number
  upstream: string | null
  started_at: number | null
  ended_at: number | null
  latency_ms: Record<WireLatencyName, number> | null
  usage: {
    prompt_tokens: number
    cached_tokens: number
    completion_tokens: number
    reasoning_tokens: number
  } | null
  /** Where it was asked for: the body of the request; null when the file is gone. */
  input?: unknown
  /** Where it was asked for: the line of the output or error file; null when there is none. */
  output?: unknown
}

export type WireRequestPage<T = WireBatchRequest> = {
  object: 'list'
  data: T[]
  has_more: boolean
  /** For the next page's `after`; null at the end. */
  next_after: string | null
  /** Requests that were looked at for this page, by place in the input: `to` is the first that was not. */
  searched: { from: number; to: number; total: number }
}
