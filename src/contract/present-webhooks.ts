/** Webhooks, their log, and what they deliver, from the domain to the wire. */
import type { Batch } from '../domain/batch.ts'
import type { Delivery, Webhook } from '../domain/webhook.ts'
import { seconds, secondsOrNull } from './present.ts'
import type { WireDelivery, WireEvent, WireWebhook } from './wire.ts'

const HINT_CHARACTERS = 4

/** @param options withSecret: in the replies that make or rotate it, and nowhere else */
export function presentWebhook(webhook: Webhook, { withSecret }: { withSecret: boolean }): WireWebhook {
  return {
    object: 'webhook_endpoint',
    id: webhook.id,
    created_at: seconds(webhook.createdAt),
    updated_at: seconds(webhook.updatedAt),
    name: webhook.name,
    url: webhook.url,
    event_types: [...webhook.events],
    signing_secret_hint: webhook.secret.slice(-HINT_CHARACTERS),
    disabled_reason: webhook.disabledReason,
    ...(withSecret && { signing_secret: webhook.secret }),
  }
}

export function presentDelivery(delivery: Delivery): WireDelivery {
  return {
    object: 'webhook_endpoint.delivery',
    id: delivery.id,
    webhook_endpoint_id: delivery.webhookId,
    event_type: delivery.event,
    batch_id: delivery.batchId,
    created_at: seconds(delivery.createdAt),
    status: delivery.status,
    attempts: delivery.attempts,
    next_attempt_at: secondsOrNull(delivery.nextAt),
    last_attempt_at: secondsOrNull(delivery.lastAttemptAt),
    status_code: delivery.lastStatus,
    error: delivery.lastError,
  }
}

/** @param batch null for the event of a test, whose batch does not exist */
export function presentEvent({ batchId, event, createdAt }: Delivery, batch: Batch | null): WireEvent {
  const { tally } = batch ?? {}
  return {
    id: `evt_${batchId.replace(/^batch_/, '')}_${event.replace('batch.', '')}`,
    object: 'event',
    type: event,
    created_at: seconds(createdAt),
    data: {
      id: batchId,
      ...(batch !== null &&
        tally !== undefined && {
          status: batch.status,
          request_counts: {
            total: batch.linesTotal,
            completed: tally.completed,
            failed: tally.failed,
            expired: tally.expired,
            cancelled: tally.cancelled,
          },
          output_file_id: batch.outputFileId,
          error_file_id: batch.errorFileId,
        }),
    },
  }
}
