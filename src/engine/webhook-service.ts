/** Webhooks of a tenant: made, changed, tried out, and what was delivered to them. */
import { newId } from '../domain/ids.ts'
import { DELIVERIES_KEPT_MAX, SECRET_OVERLAP_MS } from '../domain/limits.ts'
import type { Delivery, Webhook, WebhookEvent } from '../domain/webhook.ts'
import type { Clock } from '../lib/clock.ts'
import { RefusedError } from '../lib/errors.ts'
import { requirePublicHost } from '../lib/public-address.ts'
import type { Random } from '../lib/random.ts'
import type { Store } from '../store/store.ts'
import type { WebhookFacts, WebhookService } from './service.ts'
import type { WebhookSender } from './webhook-sender.ts'

const SECRET_BYTES = 32

export function createWebhookService(parts: {
  store: Store
  clock: Clock
  random: Random
  sender: WebhookSender
  isPrivateAllowed: boolean
}): WebhookService {
  const { clock, random, sender } = parts
  const { webhooks } = parts.store
  const newSecret = (): string => `whsec_${Buffer.from(random.bytes(SECRET_BYTES)).toString('base64')}`
  const requireTarget = (url: string): void => {
    const parsed = URL.canParse(url) ? new URL(url) : null
    if (
      parsed === null ||
      !/^https?:$/.test(parsed.protocol) ||
      parsed.username !== '' ||
      parsed.password !== ''
    )
      throw new RefusedError(
        'invalid_url',
        "Invalid 'url': expected an address such as https://example.com/hooks, without a name and password in it.",
        { param: 'url' },
      )
    if (!parts.isPrivateAllowed) requirePublicHost(parsed)
  }
  const change = async (webhook: Webhook, facts: Partial<Webhook>): Promise<Webhook | null> => {
    const changed = { ...webhook, ...facts, updatedAt: clock.now() }
    return (await webhooks.update(changed)) ? changed : null
  }
  return {
    async createWebhook(tenantId, facts) {
      requireTarget(facts.url)
      const now = clock.now()
      const webhook: Webhook = {
        ...facts,
        id: newId('whe_', now, random),
        tenantId,
        secret: newSecret(),
        previousSecret: null,
        previousSecretUntilAt: null,
        createdAt: now,
        updatedAt: now,
        disabledReason: null,
      }
      await webhooks.create(webhook)
      return webhook
    },
    listWebhooks: (tenantId) => webhooks.list(tenantId),
    getWebhook: (tenantId, id) => webhooks.get(id, tenantId),
    async updateWebhook(tenantId, id, facts) {
      const webhook = await webhooks.get(id, tenantId)
      if (webhook === null) return null
      if (facts.url !== undefined) requireTarget(facts.url)
      // Whoever changes it has looked after what made it stop.
      return change(webhook, { ...definedOf(facts), disabledReason: null })
    },
    removeWebhook: (tenantId, id) => webhooks.remove(id, tenantId),
    async rotateWebhookSecret(tenantId, id, { keepsOld }) {
      const webhook = await webhooks.get(id, tenantId)
      if (webhook === null) return null
      return change(webhook, {
        secret: newSecret(),
        previousSecret: keepsOld ? webhook.secret : null,
        previousSecretUntilAt: keepsOld ? clock.now() + SECRET_OVERLAP_MS : null,
      })
    },
    async testWebhook(tenantId, id, event) {
      const webhook = await webhooks.get(id, tenantId)
      if (webhook === null) return null
      const delivery = testDelivery(webhook, event, { now: clock.now(), random })
      await webhooks.putDelivery(delivery)
      return sender.attempt(delivery, webhook, { isRepeated: false })
    },
    async listDeliveries(tenantId, id, limit) {
      if ((await webhooks.get(id, tenantId)) === null) return null
      return webhooks.deliveries(id, Math.min(limit, DELIVERIES_KEPT_MAX))
    },
    async resendDelivery(tenantId, id, deliveryId) {
      const webhook = await webhooks.get(id, tenantId)
      const delivery = webhook === null ? null : await webhooks.getDelivery(deliveryId, webhook.id)
      if (webhook === null || delivery === null) return null
      const sent = await sender.attempt(delivery, webhook, { isRepeated: true })
      // The next attempt may be due before what the sender waits for now.
      sender.wake()
      return sent
    },
  }
}

/** Of a batch that does not exist. It is not tried again: whoever tests sees what came of it. */
function testDelivery(
  webhook: Webhook,
  event: WebhookEvent,
  { now, random }: { now: number; random: Random },
): Delivery {
  return {
    id: newId('wh_', now, random),
    webhookId: webhook.id,
    event,
    batchId: newId('batch_', now, random),
    createdAt: now,
    status: 'waiting',
    attempts: 0,
    nextAt: null,
    lastAttemptAt: null,
    lastStatus: null,
    lastError: null,
  }
}

function definedOf(facts: Partial<WebhookFacts>): Partial<WebhookFacts> {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}
