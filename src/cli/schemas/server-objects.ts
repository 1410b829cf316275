/** What a server sends and commands print as it came. Fields of other services that these do not name are passed on. */
import { z } from 'zod'
import type {
  WireAnalytics,
  WireBatch,
  WireBatchExtras,
  WireCostEstimate,
  WireDeleted,
  WireFile,
  WireKey,
  WireModel,
  WireModelDetail,
  WireUpstream,
} from '../../contract/wire.ts'

const instant = z.number().describe('seconds since 1970')
const maybeInstant = instant.nullable()
const count = z.number()

export const file = z.object({
  id: z.string(),
  object: z.literal('file'),
  bytes: count,
  created_at: instant,
  expires_at: maybeInstant,
  filename: z.string(),
  purpose: z.string(),
  status: z.literal('processed'),
  status_details: z.null(),
}) satisfies z.ZodType<WireFile>

export const fileDeleted = z.object({
  id: z.string(),
  object: z.literal('file'),
  deleted: z.literal(true),
}) satisfies z.ZodType<WireDeleted>

const batchExtras = z.object({
  state_reason: z.string().nullable().describe('why nothing moves'),
  in_flight: count,
  requests_per_second: z.number().nullable(),
  tokens_per_second: z.number().nullable(),
  eta_at: maybeInstant,
  retry_of: z.string().nullable().describe('the batch whose failed requests this one runs again'),
  halt_reason: z.string().nullable(),
  findings_total: count,
  is_late: z.boolean(),
  counts: z.object({ expired: count, cancelled: count }),
}) satisfies z.ZodType<WireBatchExtras>

export const batch = z.object({
  id: z.string(),
  object: z.literal('batch'),
  endpoint: z.string(),
  model: z.string().nullable(),
  errors: z
    .object({
      object: z.literal('list'),
      data: z.array(
        z.object({
          code: z.string(),
          message: z.string(),
          param: z.string().nullable(),
          line: z.number().nullable().describe('from 1'),
        }),
      ),
    })
    .nullable(),
  input_file_id: z.string(),
  completion_window: z.string(),
  status: z.enum([
    'validating',
    'failed',
    'in_progress',
    'finalizing',
    'completed',
    'expired',
    'cancelling',
    'cancelled',
  ]),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  created_at: instant,
  in_progress_at: maybeInstant,
  expires_at: maybeInstant,
  finalizing_at: maybeInstant,
  completed_at: maybeInstant,
  failed_at: maybeInstant,
  expired_at: maybeInstant,
  cancelling_at: maybeInstant,
  cancelled_at: maybeInstant,
  request_counts: z.object({ total: count, completed: count, failed: count }),
  usage: z.object({
    input_tokens: count,
    input_tokens_details: z.object({ cached_tokens: count }),
    output_tokens: count,
    output_tokens_details: z.object({ reasoning_tokens: count }),
    total_tokens: count,
  }),
  metadata: z.record(z.string(), z.string()).nullable(),
  dw: batchExtras.optional().describe('what only a dw server tells'),
}) satisfies z.ZodType<Omit<WireBatch, 'dw'>>

const modelExtras = z.object({
  upstreams: z.array(z.object({ name: z.string(), state: z.enum(['up', 'slowed', 'paused', 'unknown']) })),
  simulated: z.boolean(),
  priced: z.boolean(),
  prices: z.array(
    z.object({
      window: z.string(),
      currency: z.string(),
      input_per_million: z.string().describe('decimal text'),
      cached_input_per_million: z.string().nullable(),
      output_per_million: z.string(),
    }),
  ),
}) satisfies z.ZodType<WireModelDetail['dw']>

export const model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: instant,
  owned_by: z.string(),
  dw: modelExtras.optional().describe('what only a dw server tells, of one model'),
}) satisfies z.ZodType<WireModel>

/** The answer to `dw realtime --json`, as the service sent it. */
export const completion = z.looseObject({
  choices: z.array(z.looseObject({ message: z.looseObject({ content: z.string().nullish() }).optional() })),
})

export const scannedPlace = z.object({
  preset: z.string(),
  url: z.string(),
  state: z.enum(['found', 'locked', 'none']).describe('locked: an engine that demands a key'),
  models: z.array(z.string()),
  added_as: z.string().nullable().describe('name under which the server has it already'),
})

const quantiles = z
  .object({
    mean: z.number(),
    p50: z.number(),
    p90: z.number(),
    p95: z.number(),
    p99: z.number(),
    max: z.number(),
  })
  .nullable()

export const analytics = z.object({
  object: z.literal('batch.analytics'),
  batch_id: z.string(),
  requests: z.object({ total: count, completed: count, failed: count, expired: count, cancelled: count }),
  tokens: z.object({
    prompt: count,
    cached: count,
    completion: count,
    reasoning: count,
    total: count,
    usage_unknown: count.describe('answers that stated no usage'),
  }),
  latency_ms: z.object({ queue: quantiles, first_byte: quantiles, upstream: quantiles }),
  attempts: z.object({ calls: count.nullable(), retried: count.nullable() }),
  wall_seconds: z.number().nullable(),
  requests_per_second: z.number().nullable(),
  tokens_per_second: z.number().nullable(),
  models: z.array(
    z.object({
      model: z.string(),
      lines: count,
      prompt_tokens: count,
      completion_tokens: count,
      cost: z.string().nullable(),
    }),
  ),
  currency: z.string(),
  total_cost: z.string().nullable().describe('decimal text; null where a model has no price'),
  priced: z.boolean(),
  simulated: z.boolean(),
  total_requests: count,
  total_prompt_tokens: count,
  total_completion_tokens: count,
  total_tokens: count,
  avg_duration_ms: z.number().nullable(),
  avg_ttfb_ms: z.number().nullable(),
}) satisfies z.ZodType<WireAnalytics>

const costBound = z.object({ input_tokens: count, output_tokens: count, cost: z.string().nullable() })
const costHistory = z.object({ lines: count, batches: count })
const costRange = {
  low: costBound.optional(),
  high: costBound.optional(),
  history: costHistory.optional().describe('answers of earlier batches that it rests on'),
}

export const costEstimate = z.object({
  object: z.literal('file.cost_estimate'),
  file_id: z.string(),
  completion_window: z.string(),
  currency: z.string(),
  total_requests: count,
  total_estimated_input_tokens: count,
  total_estimated_output_tokens: count,
  total_estimated_cost: z.string().describe('decimal text, or: not set'),
  priced: z.boolean(),
  ...costRange,
  basis: z.string(),
  models: z.array(
    z.object({
      model: z.string(),
      request_count: count,
      estimated_input_tokens: count,
      estimated_output_tokens: count,
      estimated_cost: z.string(),
      priced: z.boolean(),
      ...costRange,
      rests_on: z
        .object({ input: z.string(), output: z.string() })
        .optional()
        .describe('input: tokenizer, calibrated, history, rule; output: template, history, rule, none'),
    }),
  ),
}) satisfies z.ZodType<WireCostEstimate>

export const upstream = z.object({
  object: z.literal('upstream'),
  name: z.string(),
  url: z.string(),
  concurrency: count,
  has_key: z.boolean(),
  created_at: instant,
  state: z.enum(['up', 'slowed', 'paused', 'unknown']),
  reason: z.string().nullable(),
  models: z.array(z.string()),
  in_flight: count,
}) satisfies z.ZodType<WireUpstream>

export const upstreamRemoved = z.object({ name: z.string() })

export const key = z.object({
  object: z.literal('key'),
  id: z.string(),
  name: z.string(),
  tenant: z.string(),
  tail: z.string().describe('last characters of the secret'),
  created_at: instant,
  expires_at: maybeInstant,
  revoked_at: maybeInstant,
  last_used_at: maybeInstant,
  key: z.string().optional().describe('the secret; only when the key is made'),
}) satisfies z.ZodType<Omit<WireKey, 'key'>>

export const keyRevoked = z.object({ id: z.string() })

/** A line of a result or error file. What `response.body` holds is the engine's. */
export const resultLine = z.object({
  id: z.string(),
  custom_id: z.string(),
  response: z
    .object({ status_code: z.number(), request_id: z.string().nullable(), body: z.unknown() })
    .nullable(),
  error: z.object({ code: z.string().nullable(), message: z.string().nullable() }).nullable(),
})

/** A line of a request file. */
export const requestLine = z.object({
  custom_id: z.string(),
  method: z.string().optional(),
  url: z.string().optional(),
  body: z.record(z.string(), z.unknown()),
})
