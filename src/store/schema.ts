/** The tables, as the newest migration leaves them. Times are integer milliseconds, booleans 0 or 1, structures JSON text. */
import type { Generated } from 'kysely'
import type { Batch, Tally } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import type { Delivery } from '../domain/webhook.ts'

type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? Tail extends Uncapitalize<Tail>
    ? `${Lowercase<Head>}${Snake<Tail>}`
    : `${Lowercase<Head>}_${Snake<Tail>}`
  : S

/** Columns of the tally: `promptTokens` is `prompt_tokens`. */
export type TallyColumns = { [K in keyof Tally as Snake<K>]: Generated<number> }

export type BatchTable = TallyColumns & {
  seq: Generated<number>
  id: string
  tenant_id: string
  input_file_id: string
  endpoint: string
  window: string
  status: Batch['status']
  ends_as: Batch['endsAs']
  output_file_id: string | null
  error_file_id: string | null
  output_file_id_reserved: string
  error_file_id_reserved: string
  created_at: number
  in_progress_at: number | null
  expires_at: number
  finalizing_at: number | null
  completed_at: number | null
  failed_at: number | null
  expired_at: number | null
  cancelling_at: number | null
  cancelled_at: number | null
  lines_total: Generated<number>
  metadata: string | null
  output_expires_after_seconds: number | null
  findings: Generated<string>
  findings_total: Generated<number>
  model: string | null
  retry_of: string | null
  halt_reason: string | null
  key_id: string | null
  /** Null while the batch is live; then its place, from 1, in the order in which batches ended. */
  ended_number: number | null
}

export type FileTable = {
  id: string
  tenant_id: string
  filename: string
  purpose: string
  created_at: number
  expires_at: number | null
  deleted_at: number | null
  kind: StoredFile['kind']
  bytes: number
  extents: string
  inspection: string | null
  batch_id: string | null
}

export type IdempotencyTable = {
  tenant_id: string
  key: string
  body_hash: string
  batch_id: string
  expires_at: number
}

export type KeyTable = {
  id: string
  hash: string
  tenant_id: string
  name: string
  tail: string
  created_at: number
  expires_at: number | null
  revoked_at: number | null
  last_used_at: number | null
}

export type UpstreamTable = {
  name: string
  url: string
  concurrency: number
  has_key: number
  created_at: number
}

export type WebhookTable = {
  id: string
  tenant_id: string
  name: string
  url: string
  /** JSON list of the events it wants. */
  events: string
  secret: string
  previous_secret: string | null
  previous_secret_until_at: number | null
  created_at: number
  updated_at: number
  disabled_reason: string | null
}

export type DeliveryTable = {
  id: string
  webhook_id: string
  event: Delivery['event']
  batch_id: string
  created_at: number
  status: Delivery['status']
  attempts: number
  next_at: number | null
  last_attempt_at: number | null
  last_status: number | null
  last_error: string | null
}

export const usageCounts = [
  'succeeded',
  'failed',
  'expired',
  'cancelled',
  'calls',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'usage_unknown',
] as const

export type UsageTable = Record<(typeof usageCounts)[number], number> & {
  batch_id: string
  hour_at: number
  model: string
  upstream_number: number
}

/** Decimal text; null from the moment on from which there is no price. */
export type PriceTable = {
  model: string
  window: string
  valid_from_at: number
  input_per_million: string | null
  cached_input_per_million: string | null
  output_per_million: string | null
}

/** Records name upstreams by these. A number is never given twice. */
export type UpstreamNumberTable = { number: number; name: string }

/** One row: the newest instant stored anywhere, and how many batches have ended. */
export type WatermarkTable = { id: number; newest_at: number; ended_count: number }

export type SchemaVersionTable = {
  version: number
  /** The newest schema version that a program must know to work with this database from here on. */
  minimum_program: number
}

export type Tables = {
  batches: BatchTable
  files: FileTable
  idempotency_keys: IdempotencyTable
  keys: KeyTable
  upstreams: UpstreamTable
  webhooks: WebhookTable
  deliveries: DeliveryTable
  usage: UsageTable
  prices: PriceTable
  upstream_numbers: UpstreamNumberTable
  watermarks: WatermarkTable
  schema_versions: SchemaVersionTable
}
