/** Usage, prices and webhooks as a server sends them. */
import { z } from 'zod'
import type {
  WireDelivery,
  WirePrice,
  WireUsageGroup,
  WireWebhook,
  WireWebhookTest,
} from '../../contract/wire.ts'

const count = z.number()
const instant = z.number().describe('seconds since 1970')
const amount = z.string().describe('decimal text')

export const usage = z.object({
  object: z.literal('usage'),
  bucket_start: instant.nullable(),
  by: z.record(z.string(), z.string().nullable()),
  requests: count,
  succeeded: count,
  failed: count,
  expired: count,
  cancelled: count,
  calls: count.describe('calls to engines, repeated ones too'),
  prompt_tokens: count,
  cached_tokens: count,
  completion_tokens: count,
  reasoning_tokens: count,
  usage_unknown: count.describe('answers that stated no usage'),
  cost: amount.nullable().describe('null: not everything in it has a price'),
  priced: z.boolean(),
}) satisfies z.ZodType<WireUsageGroup>

export const price = z.object({
  model: z.string(),
  window: z.string(),
  input_per_million: amount,
  cached_input_per_million: amount.nullable(),
  output_per_million: amount,
}) satisfies z.ZodType<WirePrice>

export const webhook = z.object({
  object: z.literal('webhook_endpoint'),
  id: z.string(),
  created_at: instant,
  updated_at: instant,
  name: z.string(),
  url: z.string(),
  event_types: z.array(z.string()),
  signing_secret_hint: z.string().describe('its last characters'),
  disabled_reason: z.string().nullable(),
  signing_secret: z.string().optional().describe('only when it was made or rotated just now'),
}) satisfies z.ZodType<WireWebhook>

export const webhookDeleted = z.object({
  id: z.string(),
  object: z.literal('webhook_endpoint.deleted'),
  deleted: z.literal(true),
})

export const webhookTest = z.object({
  object: z.literal('webhook_endpoint.test'),
  webhook_endpoint_id: z.string(),
  event_type: z.string(),
  success: z.boolean(),
  status_code: z.number().nullable().describe('null: no answer came'),
  error: z.string().nullable(),
  delivery_id: z.string(),
}) satisfies z.ZodType<WireWebhookTest>

export const delivery = z.object({
  object: z.literal('webhook_endpoint.delivery'),
  id: z.string(),
  webhook_endpoint_id: z.string(),
  event_type: z.string(),
  batch_id: z.string(),
  created_at: instant,
  status: z.enum(['waiting', 'delivered', 'failed']),
  attempts: count,
  next_attempt_at: instant.nullable(),
  last_attempt_at: instant.nullable(),
  status_code: z.number().nullable(),
  error: z.string().nullable(),
}) satisfies z.ZodType<WireDelivery>
