/** Webhooks: what is announced to whom, and when a failed delivery is tried again. */

/** The four ends of a batch as OpenAI names them, and our own warning that the deadline will pass first. */
export const webhookEvents = [
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelled',
  'batch.at_risk',
] as const
export type WebhookEvent = (typeof webhookEvents)[number]

export type Webhook = {
  id: string
  tenantId: string
  name: string
  url: string
  /** At least one. */
  events: readonly WebhookEvent[]
  /** `whsec_` and base64. Shown when it is made, never again. */
  secret: string
  /** After a rotation both sign until then, so that receivers can change over. */
  previousSecret: string | null
  previousSecretUntilAt: number | null
  createdAt: number
  updatedAt: number
  /** Why nothing is delivered any more, or null. */
  disabledReason: string | null
}

/** One event on its way to one webhook: the row is written in the commit that moves the batch. */
export type Delivery = {
  /** The same over all attempts: by it a receiver knows a repetition. */
  id: string
  webhookId: string
  event: WebhookEvent
  batchId: string
  /** Of the event. */
  createdAt: number
  status: 'waiting' | 'delivered' | 'failed'
  attempts: number
  /** When the next attempt is due; null when there is none. */
  nextAt: number | null
  lastAttemptAt: number | null
  /** HTTP status of the last attempt; null when no answer came. */
  lastStatus: number | null
  /** What went wrong with it, for people; null after a success. */
  lastError: string | null
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** Waits between attempts: three days in all, as OpenAI's documentation says of its own. */
const ATTEMPT_DELAYS_MS: readonly number[] = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  8 * HOUR_MS,
  24 * HOUR_MS,
  36 * HOUR_MS,
]

/** @returns null when the delivery has failed for good */
export function nextAttemptAt(attempts: number, now: number): number | null {
  const delayMs = ATTEMPT_DELAYS_MS[attempts - 1]
  return delayMs === undefined ? null : now + delayMs
}

export function isWebhookEvent(text: string): text is WebhookEvent {
  return webhookEvents.some((event) => event === text)
}
