/** Calls for webhooks: OpenAI's, and our log of deliveries. */
import type { WireDelivery, WireList, WireWebhook, WireWebhookTest } from '../contract/wire.ts'
import type { Call } from './transport.ts'

/** One call whose reply is JSON of a shape that the caller states. */
export type Ask = <T>(call: Call) => Promise<T>

export function createWebhookCalls(ask: Ask) {
  const webhooks = '/webhook_endpoints'
  const one = (id: string): string => `${webhooks}/${encodeURIComponent(id)}`
  type Facts = { url: string; event_types: readonly string[]; name?: string }
  return {
    list: async (): Promise<WireWebhook[]> =>
      (await ask<WireList<WireWebhook>>({ method: 'GET', path: webhooks })).data,
    get: (id: string): Promise<WireWebhook> => ask({ method: 'GET', path: one(id) }),
    /** The reply alone holds the secret. */
    create: (facts: Facts): Promise<WireWebhook> => ask({ method: 'POST', path: webhooks, json: facts }),
    update: (id: string, facts: Partial<Facts>): Promise<WireWebhook> =>
      ask({ method: 'POST', path: one(id), json: facts }),
    delete: (id: string): Promise<{ id: string }> => ask({ method: 'DELETE', path: one(id) }),
    rotateSecret: (id: string, { keepsOld }: { keepsOld: boolean }): Promise<WireWebhook> =>
      ask({
        method: 'POST',
        path: `${one(id)}/rotate_secret`,
        json: { keep_old_secret_active_for_24_hours: keepsOld },
      }),
    test: (id: string, event: string): Promise<WireWebhookTest> =>
      ask({ method: 'POST', path: `${one(id)}/test`, json: { event_type: event } }),
    deliveries: async (id: string, limit: number): Promise<WireDelivery[]> =>
      (await ask<WireList<WireDelivery>>({ method: 'GET', path: `${one(id)}/deliveries`, query: { limit } }))
        .data,
    resend: (id: string, delivery: string): Promise<WireDelivery> =>
      ask({ method: 'POST', path: `${one(id)}/deliveries/${encodeURIComponent(delivery)}/resend` }),
  }
}
