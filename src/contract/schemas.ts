/** What requests may hold, described once. Refusals have OpenAI's wording: see `refusal.ts`. */
import { z } from 'zod'
import { ENDPOINTS } from '../domain/batch.ts'
import { GROUP_ID_PATTERN } from '../domain/failure.ts'
import {
  ANALYTICS_BATCHES_MAX,
  BATCH_LIST_DEFAULT,
  BATCH_LIST_MAX,
  DELIVERIES_KEPT_MAX,
  EXPIRES_AFTER_SECONDS_MAX,
  EXPIRES_AFTER_SECONDS_MIN,
  FILE_LIST_DEFAULT,
  FILE_LIST_MAX,
  ID_CHARACTERS_MAX,
  KEY_NAME_CHARACTERS_MAX,
  MODEL_BYTES_MAX,
  PRICES_AT_ONCE_MAX,
  REQUEST_PAGE_DEFAULT,
  REQUEST_PAGE_MAX,
  RETRY_GROUPS_MAX,
  TESTED_MODELS_MAX,
  UPSTREAM_KEY_CHARACTERS_MAX,
  URL_CHARACTERS_MAX,
  USAGE_DIMENSIONS_MAX,
  WINDOW_CHARACTERS_MAX,
} from '../domain/limits.ts'
import { isPrice } from '../domain/price.ts'
import { webhookEvents } from '../domain/webhook.ts'

const expiresAfter = z.strictObject({
  anchor: z.literal('created_at'),
  seconds: z.int().min(EXPIRES_AFTER_SECONDS_MIN).max(EXPIRES_AFTER_SECONDS_MAX),
})

/** Which windows there are is the configuration's matter. */
const windowText = z.string().max(WINDOW_CHARACTERS_MAX)

/** Metadata's own limits are checked by `requireMetadata`, whose messages name the key. */
export const createBatchBody = z.strictObject({
  input_file_id: z.string().min(1).max(ID_CHARACTERS_MAX),
  endpoint: z.enum(ENDPOINTS),
  completion_window: windowText,
  metadata: z.record(z.string(), z.unknown()).nullish(),
  output_expires_after: expiresAfter.nullish(),
})

export const retryBatchBody = z.strictObject({
  include_cancelled: z.boolean().optional(),
  /** Only the lines of these groups of failures. */
  groups: z.array(z.string().regex(GROUP_ID_PATTERN)).min(1).max(RETRY_GROUPS_MAX).optional(),
})

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1')
/** The text of an integer becomes one; anything else stays, and is refused as what it is. */
const integerOf = (value: unknown): unknown =>
  typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value
function momentOf(value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (/^\d{1,12}$/.test(value)) return Number(value) * 1_000
  const at = /^\d{4}-\d{2}-\d{2}/.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? value : at
}
const limit = (most: number, fallback: number) =>
  z.preprocess(integerOf, z.int().min(1).max(most).default(fallback))

export const listBatchesQuery = z.object({
  limit: limit(BATCH_LIST_MAX, BATCH_LIST_DEFAULT),
  after: z.string().optional(),
  active_first: flag.default(false),
})

export const listFilesQuery = z.object({
  limit: limit(FILE_LIST_MAX, FILE_LIST_DEFAULT),
  after: z.string().optional(),
  order: z.enum(['asc', 'desc']).default('desc'),
  purpose: z.string().optional(),
})

const line = z.preprocess(integerOf, z.int().min(0).optional())

export const contentQuery = z.object({
  skip: line,
  offset: line,
  order: z.enum(['input', 'completed']).optional(),
})

export const estimateQuery = z.object({ completion_window: windowText.optional() })

export const addUpstreamBody = z.strictObject({
  url: z.string().min(1).max(URL_CHARACTERS_MAX),
  name: z.string().nullish(),
  key: z.string().min(1).max(UPSTREAM_KEY_CHARACTERS_MAX).nullish(),
  concurrency: z.int().min(1).max(65_535).nullish(),
  /** Keep it only if it lists models and answers a call of one token. */
  test: z.boolean().nullish(),
  /** Models that it must serve. */
  models: z.array(z.string().min(1).max(MODEL_BYTES_MAX)).min(1).max(TESTED_MODELS_MAX).nullish(),
})

const webhookFacts = {
  name: z.string().min(1).max(KEY_NAME_CHARACTERS_MAX),
  url: z.string().min(1).max(URL_CHARACTERS_MAX),
  event_types: z.array(z.enum(webhookEvents)).min(1).max(webhookEvents.length),
}
export const createWebhookBody = z.strictObject({ ...webhookFacts, name: webhookFacts.name.optional() })
export const updateWebhookBody = z.strictObject(webhookFacts).partial()
export const rotateSecretBody = z.strictObject({
  keep_old_secret_active_for_24_hours: z.boolean().optional(),
})
export const testWebhookBody = z.strictObject({ event_type: z.enum(webhookEvents) })
export const listDeliveriesQuery = z.object({ limit: limit(DELIVERIES_KEPT_MAX, BATCH_LIST_DEFAULT) })

/** Seconds since 1970, or a day or moment as ISO 8601 writes it, in UTC unless it says otherwise. */
const moment = z.preprocess(momentOf, z.int().min(0))
const DIMENSION = /^(model|upstream|window|key|batch|(tag|metadata):.{1,64})$/

export const usageQuery = z.object({
  since: moment.optional(),
  until: moment.optional(),
  by: z
    .string()
    .transform((text) => text.split(',').filter((part) => part !== ''))
    .refine(
      (parts) => parts.length <= USAGE_DIMENSIONS_MAX && parts.every((part) => DIMENSION.test(part)),
      'expected names such as model, upstream, window, key, batch or metadata:NAME, with commas between them',
    )
    .default([]),
  bucket: z.enum(['hour', 'day']).optional(),
})

const ids = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(z.string().min(1).max(ID_CHARACTERS_MAX)).max(ANALYTICS_BATCHES_MAX),
)
export const analyticsQuery = z.object({
  batch: ids.optional(),
  since: moment.optional(),
  until: moment.optional(),
})

const include = z
  .string()
  .transform((text) => text.split(',').filter((part) => part !== ''))
  .refine(
    (parts) => parts.every((part) => part === 'input' || part === 'output'),
    'expected input, output or both',
  )
  .default([])
export const requestQuery = z.object({ include })
export const listRequestsQuery = z.object({
  status: z.enum(['pending', 'succeeded', 'failed', 'expired', 'cancelled']).optional(),
  http_status: z.preprocess(integerOf, z.int().min(100).max(999).optional()),
  model: z.string().max(MODEL_BYTES_MAX).optional(),
  min_latency_ms: line,
  custom_id: z.string().optional(),
  limit: limit(REQUEST_PAGE_MAX, REQUEST_PAGE_DEFAULT),
  after: line,
  include,
})

const amount = z.string().refine(isPrice, 'expected decimal text with at most 6 decimals, such as "0.15"')
export const setPricesBody = z.strictObject({
  prices: z
    .array(
      z.strictObject({
        model: z.string().min(1).max(ID_CHARACTERS_MAX),
        window: windowText,
        input_per_million: amount.nullable(),
        cached_input_per_million: amount.nullish(),
        output_per_million: amount.nullable(),
      }),
    )
    .min(1)
    .max(PRICES_AT_ONCE_MAX),
})

export const createKeyBody = z.strictObject({
  name: z.string().min(1).max(KEY_NAME_CHARACTERS_MAX),
  tenant: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'use A-Z, a-z, 0-9, _ and -, at most 64')
    .nullish(),
  /** Unix seconds. */
  expires_at: z.int().min(1).nullish(),
})
