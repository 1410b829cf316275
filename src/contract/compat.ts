/**
 * What the existing `dw` client expects beside OpenAI's shapes, and converters to it. It decodes strictly: a field of another type fails
 * the whole reply. Only the routes of `api/compat-routes.ts` know these shapes; docs/protocol.md says where they differ from ours.
 */
import { z } from 'zod'
import type { UsageReport } from '../domain/figures.ts'
import { decimalOf, picosOf } from '../domain/price.ts'
import { type Webhook, webhookEvents } from '../domain/webhook.ts'
import type { WireErrorBody } from './wire.ts'

/** What is said in place of an amount that nobody has set. */
export const NOT_SET = 'not set'
/** Required: what that client asks for at a time. A shorter page would end its paging. */
const PAGE_MAX = 100
const PAGE_DEFAULT = 100
/** Guess: beyond this a filter finds what is wanted sooner. */
const SKIP_MAX = 1_000_000
const NAME_CHARACTERS_MAX = 200
const URL_CHARACTERS_MAX = 2_048

const count = (most: number, otherwise: number) => z.coerce.number().int().min(0).max(most).default(otherwise)
const page = { skip: count(SKIP_MAX, 0), limit: count(PAGE_MAX, PAGE_DEFAULT) }
const moment = z.coerce.date().transform((date) => date.getTime())

export const compatPageQuery = z.object(page)
export const compatUsageQuery = z.object({ start_date: moment.optional(), end_date: moment.optional() })
export const compatRequestsQuery = z.object({
  ...page,
  model: z.string().optional(),
  timestamp_after: moment.optional(),
  timestamp_before: moment.optional(),
  fusillade_batch_id: z.string().optional(),
  status_code: z.coerce.number().int().min(0).max(999).optional(),
})
export const compatKeyBody = z.object({
  name: z.string().min(1).max(NAME_CHARACTERS_MAX),
  description: z.string().max(NAME_CHARACTERS_MAX).nullish(),
})
export const compatWebhookBody = z.object({
  url: z.string().min(1).max(URL_CHARACTERS_MAX),
  // Its command line splits an empty flag into one empty name.
  event_types: z
    .array(z.union([z.literal(''), z.enum(webhookEvents)]))
    .nullish()
    .transform((names) => names?.filter((name) => name !== '') ?? []),
  description: z.string().max(NAME_CHARACTERS_MAX).nullish(),
})

/** Its error: text in two fields; it reads `error` only where that is no object. */
export function flatError({ error }: WireErrorBody): { error: string; message: string } {
  return { error: error.code ?? error.type, message: error.message }
}

export function compatPage<T>(
  all: readonly T[],
  { skip, limit }: { skip: number; limit: number },
): { data: T[]; total_count: number; skip: number; limit: number } {
  return { data: all.slice(skip, skip + limit), total_count: all.length, skip, limit }
}

/** Nothing is known of a person: only whose data the key opens. */
export function compatUser(caller: { tenantId: string; isOwner: boolean }) {
  return {
    id: caller.tenantId,
    username: caller.tenantId,
    email: NOT_SET,
    roles: caller.isOwner ? ['owner'] : [],
    organizations: [],
  }
}

export function compatKey(key: {
  id: string
  name: string
  tenantId: string
  createdAt: number
  lastUsedAt: number | null
}) {
  return {
    id: key.id,
    name: key.name,
    user_id: key.tenantId,
    created_at: isoOf(key.createdAt),
    last_used: key.lastUsedAt === null ? null : isoOf(key.lastUsedAt),
  }
}

export function compatWebhook(webhook: Webhook) {
  return {
    id: webhook.id,
    user_id: webhook.tenantId,
    url: webhook.url,
    enabled: webhook.disabledReason === null,
    event_types: [...webhook.events],
    description: webhook.name,
    created_at: isoOf(webhook.createdAt),
    updated_at: isoOf(webhook.updatedAt),
  }
}

type Price = {
  window: string
  inputPerMillion: string
  outputPerMillion: string
}

export function compatModel(
  model: { id: string; createdAt: number; prices: readonly Price[] },
  uuid: string,
) {
  const tariffs = model.prices.map((price) => ({
    name: price.window,
    completion_window: price.window,
    input_price_per_token: perToken(price.inputPerMillion),
    output_price_per_token: perToken(price.outputPerMillion),
    is_active: true,
  }))
  const [first] = tariffs
  return {
    id: uuid,
    model_name: model.id,
    alias: model.id,
    created_at: isoOf(model.createdAt),
    updated_at: isoOf(model.createdAt),
    // No price is not zero, and one window's price is not another's.
    tariffs,
    input_price_per_token: tariffs.length === 1 ? first?.input_price_per_token : NOT_SET,
    output_price_per_token: tariffs.length === 1 ? first?.output_price_per_token : NOT_SET,
  }
}

export function compatUsage(byModel: UsageReport, batches: number) {
  const models = byModel.groups.map((group) => ({
    model: group.by.model ?? 'unknown',
    input_tokens: group.promptTokens,
    output_tokens: group.completionTokens,
    request_count: group.succeeded + group.failed + group.expired + group.cancelled,
    cost: group.isPriced && group.cost !== null ? group.cost : NOT_SET,
  }))
  const sum = (of: (model: (typeof models)[number]) => number): number =>
    models.reduce((total, model) => total + of(model), 0)
  const requests = sum((model) => model.request_count)
  const isPriced = models.every(({ cost }) => cost !== NOT_SET)
  const picos = models.reduce((total, { cost }) => total + (picosOf(cost) ?? 0n), 0n)
  return {
    total_input_tokens: sum((model) => model.input_tokens),
    total_output_tokens: sum((model) => model.output_tokens),
    total_request_count: requests,
    total_batch_count: batches,
    avg_requests_per_batch: batches === 0 ? 0 : requests / batches,
    total_cost: isPriced ? decimalOf(picos) : NOT_SET,
    // What the same would have cost at once: there is no price for that here.
    estimated_realtime_cost: NOT_SET,
    by_model: models,
  }
}

type RecordFacts = {
  lineIndex: number
  httpStatus: number
  recordedAt: number
  upstreamMs: number
  usage: { promptTokens: number; completionTokens: number } | null
}

/** `id` is the number of the line within its batch: that client wants an integer. */
export function compatRequest(
  record: RecordFacts,
  batch: { id: string; endpoint: string; model: string | null },
) {
  const { usage } = record
  return {
    id: record.lineIndex + 1,
    timestamp: isoOf(record.recordedAt),
    method: 'POST',
    uri: batch.endpoint,
    model: batch.model,
    fusillade_batch_id: batch.id,
    status_code: record.httpStatus === 0 ? null : record.httpStatus,
    duration_ms: Math.round(record.upstreamMs),
    prompt_tokens: usage?.promptTokens ?? null,
    completion_tokens: usage?.completionTokens ?? null,
    total_tokens: usage === null ? null : usage.promptTokens + usage.completionTokens,
  }
}

function isoOf(at: number): string {
  return new Date(at).toISOString()
}

const PER_MILLION = 1_000_000n

function perToken(perMillion: string): string {
  return decimalOf((picosOf(perMillion) ?? 0n) / PER_MILLION)
}
