/** The wire as plain types: what goes over HTTP, in snake_case. OpenAI's shapes, and our own beside them. Instants are seconds. */
import type { WireAnalyticsDetails, WireCostBound, WireHistory, WireWindowUse } from './wire-figures.ts'

export type WireErrorBody = {
  error: { message: string; type: string; param: string | null; code: string | null }
}

export type WireFile = {
  id: string
  object: 'file'
  bytes: number
  created_at: number
  expires_at: number | null
  filename: string
  purpose: string
  status: 'processed'
  status_details: null
}

export type WireList<T> = {
  object: 'list'
  data: T[]
  first_id: string | null
  last_id: string | null
  has_more: boolean
}

export type WireDeleted = { id: string; object: 'file'; deleted: true }

export type WireBatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled'

export type WireBatchError = { code: string; message: string; param: string | null; line: number | null }

export type WireUsage = {
  input_tokens: number
  input_tokens_details: { cached_tokens: number }
  output_tokens: number
  output_tokens_details: { reasoning_tokens: number }
  total_tokens: number
}

export type WireWebhook = {
  object: 'webhook_endpoint'
  id: string
  created_at: number
  updated_at: number
  name: string
  url: string
  event_types: string[]
  /** Last characters of the secret. */
  signing_secret_hint: string
  /** Why nothing is delivered any more, or null. */
  disabled_reason: string | null
  /** Only in the replies that make or rotate it. */
  signing_secret?: string | undefined
}

export type WireDelivery = {
  object: 'webhook_endpoint.delivery'
  id: string
  webhook_endpoint_id: string
  event_type: string
  batch_id: string
  created_at: number
  status: 'waiting' | 'delivered' | 'failed'
  attempts: number
  next_attempt_at: number | null
  last_attempt_at: number | null
  status_code: number | null
  error: string | null
}

export type WireWebhookTest = {
  object: 'webhook_endpoint.test'
  webhook_endpoint_id: string
  event_type: string
  success: boolean
  /** Null when no answer came. */
  status_code: number | null
  error: string | null
  delivery_id: string
}

/** What a receiver gets. OpenAI's has only the id in `data`; the counts say how the batch came out. */
export type WireEvent = {
  id: string
  object: 'event'
  type: string
  created_at: number
  data: {
    id: string
    status?: WireBatchStatus
    request_counts?: { total: number; completed: number; failed: number; expired: number; cancelled: number }
    output_file_id?: string | null
    error_file_id?: string | null
  }
}

export type WireUsageCounts = {
  requests: number
  succeeded: number
  failed: number
  expired: number
  cancelled: number
  /** Calls to engines, repeated ones too. */
  calls: number
  prompt_tokens: number
  cached_tokens: number
  completion_tokens: number
  reasoning_tokens: number
  /** Answers that stated no usage: their tokens are unknown, and in no sum. */
  usage_unknown: number
  /** Decimal text; null where not everything in it has a price. */
  cost: string | null
  priced: boolean
}

export type WireUsageGroup = WireUsageCounts & {
  object: 'usage'
  bucket_start: number | null
  by: Record<string, string | null>
}

export type WireUsageReport = {
  object: 'usage.report'
  since: number
  until: number
  currency: string
  data: WireUsageGroup[]
  total: WireUsageCounts
  /** Live batches whose requests are not in the sums yet. */
  live_batches_left_out: number
}

export type WirePrice = {
  model: string
  window: string
  input_per_million: string
  cached_input_per_million: string | null
  output_per_million: string
}

export type WirePriceList = { object: 'list'; currency: string; data: WirePrice[] }

/** What only our server tells of a batch. */
export type WireBatchExtras = {
  /** Why nothing moves, or null. */
  state_reason: string | null
  in_flight: number
  requests_per_second: number | null
  tokens_per_second: number | null
  eta_at: number | null
  /** The batch whose failed lines this one runs again. */
  retry_of: string | null
  /** Set when the server gave the batch up for good because its stored results are damaged. */
  halt_reason: string | null
  findings_total: number
  /** Its deadline has passed and its window lets it run on. */
  is_late: boolean
  counts: { expired: number; cancelled: number }
}

export type WireBatch = {
  id: string
  object: 'batch'
  endpoint: string
  model: string | null
  errors: { object: 'list'; data: WireBatchError[] } | null
  input_file_id: string
  completion_window: string
  status: WireBatchStatus
  output_file_id: string | null
  error_file_id: string | null
  created_at: number
  in_progress_at: number | null
  expires_at: number | null
  finalizing_at: number | null
  completed_at: number | null
  failed_at: number | null
  expired_at: number | null
  cancelling_at: number | null
  cancelled_at: number | null
  request_counts: { total: number; completed: number; failed: number }
  usage: WireUsage
  metadata: Record<string, string> | null
  dw: WireBatchExtras
}

export type WireModel = { id: string; object: 'model'; created: number; owned_by: string }

/** One model asked for by its name; `dw` is what only our server tells. */
export type WireModelDetail = WireModel & {
  dw: {
    upstreams: { name: string; state: WireUpstream['state'] }[]
    simulated: boolean
    /** False: `prices` is empty. No price is not zero. */
    priced: boolean
    prices: {
      window: string
      currency: string
      /** Decimal text, per million tokens. */
      input_per_million: string
      cached_input_per_million: string | null
      output_per_million: string
    }[]
  }
}

export type WireQuantiles = { mean: number; p50: number; p90: number; p95: number; p99: number; max: number }

export type WireAnalytics = {
  object: 'batch.analytics'
  batch_id: string
  requests: { total: number; completed: number; failed: number; expired: number; cancelled: number }
  tokens: {
    prompt: number
    cached: number
    completion: number
    reasoning: number
    total: number
    usage_unknown: number
  }
  latency_ms: {
    queue: WireQuantiles | null
    first_byte: WireQuantiles | null
    upstream: WireQuantiles | null
    total?: WireQuantiles | null | undefined
  }
  /** Null where a service does not tell, and the rest was put together from its files. `wasted`: calls that gave no output line. */
  attempts: { calls: number | null; retried: number | null; wasted?: number | undefined }
  wall_seconds: number | null
  requests_per_second: number | null
  tokens_per_second: number | null
  models: {
    model: string
    lines: number
    prompt_tokens: number
    completion_tokens: number
    cost: string | null
  }[]
  currency: string
  /** Decimal text; null where a model has no price for the window. */
  total_cost: string | null
  priced: boolean
  simulated: boolean
  total_requests: number
  total_prompt_tokens: number
  total_completion_tokens: number
  total_tokens: number
  avg_duration_ms: number | null
  avg_ttfb_ms: number | null
  window?: WireWindowUse | undefined
  /** What would have been said of the input when the batch was created. */
  estimate?: WireCostEstimate | null | undefined
} & { [Name in keyof WireAnalyticsDetails]?: WireAnalyticsDetails[Name] | undefined }

export type WireCostEstimate = {
  object: 'file.cost_estimate'
  file_id: string
  completion_window: string
  currency: string
  total_requests: number
  total_estimated_input_tokens: number
  total_estimated_output_tokens: number
  /** Decimal text, or `not set`. */
  total_estimated_cost: string
  priced: boolean
  /** What it may well be; what is estimated above lies between. Only our server tells. */
  low?: WireCostBound | undefined
  high?: WireCostBound | undefined
  basis: string
  /** Answers of earlier batches that it rests on; without any it is a rule of thumb. */
  history?: WireHistory | undefined
  models: {
    model: string
    request_count: number
    estimated_input_tokens: number
    estimated_output_tokens: number
    estimated_cost: string
    priced: boolean
    low?: WireCostBound | undefined
    high?: WireCostBound | undefined
    /** input: tokenizer, calibrated, history, rule. output: template, history, rule, none. */
    rests_on?: { input: string; output: string } | undefined
    history?: WireHistory | undefined
  }[]
}

export type WireUpstream = {
  object: 'upstream'
  name: string
  url: string
  concurrency: number
  has_key: boolean
  created_at: number
  state: 'up' | 'slowed' | 'paused' | 'unknown'
  reason: string | null
  models: string[]
  in_flight: number
}

/** Whose key a request came with; `open`: without one, on a server that needs none. */
export type WireCaller = {
  object: 'caller'
  tenant: string
  access: 'owner' | 'key' | 'open'
  key_id: string | null
}

export type WireKey = {
  object: 'key'
  id: string
  name: string
  tenant: string
  tail: string
  created_at: number
  expires_at: number | null
  revoked_at: number | null
  last_used_at: number | null
  /** The secret, shown once: only in the reply to its creation. */
  key?: string
}
