/** What requests may hold, described once. Refusals have OpenAI's wording: see `refusal.ts`. */
import { z } from 'zod'
import { ENDPOINTS } from '../domain/batch.ts'
import {
  BATCH_LIST_DEFAULT,
  BATCH_LIST_MAX,
  EXPIRES_AFTER_SECONDS_MAX,
  EXPIRES_AFTER_SECONDS_MIN,
  FILE_LIST_DEFAULT,
  FILE_LIST_MAX,
  ID_CHARACTERS_MAX,
  KEY_NAME_CHARACTERS_MAX,
  UPSTREAM_KEY_CHARACTERS_MAX,
  URL_CHARACTERS_MAX,
  WINDOW_CHARACTERS_MAX,
} from '../domain/limits.ts'

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

export const retryBatchBody = z.strictObject({ include_cancelled: z.boolean().optional() })

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1')
/** The text of an integer becomes one; anything else stays, and is refused as what it is. */
const integerOf = (value: unknown): unknown =>
  typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value
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
