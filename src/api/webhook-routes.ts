/** Webhooks of the caller's tenant, under the names that OpenAI's clients use; their delivery log beside them. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { presentList } from '../contract/present.ts'
import { presentDelivery, presentWebhook } from '../contract/present-webhooks.ts'
import { parse } from '../contract/refusal.ts'
import {
  createWebhookBody,
  listDeliveriesQuery,
  rotateSecretBody,
  testWebhookBody,
  updateWebhookBody,
} from '../contract/schemas.ts'
import type { WireWebhookTest } from '../contract/wire.ts'
import { webhookEvents } from '../domain/webhook.ts'
import type { Service } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'
import { idOf, tenantOf } from './request-facts.ts'

const shown = { withSecret: false }
const madeNow = { withSecret: true }

export function addWebhookRoutes(app: FastifyInstance, service: Service): void {
  app.get('/v1/webhook_event_types', () => ({ object: 'list', data: webhookEvents }))

  app.post('/v1/webhook_endpoints', async (request) => {
    const body = parse(createWebhookBody, request.body)
    const { url, event_types: events } = body
    return presentWebhook(
      await service.createWebhook(tenantOf(request), { name: body.name ?? url, url, events }),
      madeNow,
    )
  })

  app.get('/v1/webhook_endpoints', async (request) => {
    const all = await service.listWebhooks(tenantOf(request))
    return presentList(
      all.map((webhook) => presentWebhook(webhook, shown)),
      false,
    )
  })

  app.get('/v1/webhook_endpoints/:id', async (request) =>
    presentWebhook(required(await service.getWebhook(tenantOf(request), idOf(request)), request), shown),
  )

  app.post('/v1/webhook_endpoints/:id', async (request) => {
    const body = parse(updateWebhookBody, request.body ?? {})
    const facts = {
      ...(body.name !== undefined && { name: body.name }),
      ...(body.url !== undefined && { url: body.url }),
      ...(body.event_types !== undefined && { events: body.event_types }),
    }
    return presentWebhook(
      required(await service.updateWebhook(tenantOf(request), idOf(request), facts), request),
      shown,
    )
  })

  app.delete('/v1/webhook_endpoints/:id', async (request) => {
    required((await service.removeWebhook(tenantOf(request), idOf(request))) || null, request)
    return { id: idOf(request), object: 'webhook_endpoint.deleted', deleted: true }
  })

  app.post('/v1/webhook_endpoints/:id/rotate_secret', async (request) => {
    const body = parse(rotateSecretBody, request.body ?? {})
    const options = { keepsOld: body.keep_old_secret_active_for_24_hours ?? false }
    return presentWebhook(
      required(await service.rotateWebhookSecret(tenantOf(request), idOf(request), options), request),
      madeNow,
    )
  })

  app.post('/v1/webhook_endpoints/:id/test', async (request) => {
    const { event_type: event } = parse(testWebhookBody, request.body)
    const sent = required(await service.testWebhook(tenantOf(request), idOf(request), event), request)
    const tested: WireWebhookTest = {
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: idOf(request),
      event_type: event,
      success: sent.status === 'delivered',
      status_code: sent.lastStatus,
      error: sent.lastError,
      delivery_id: sent.id,
    }
    return tested
  })

  addDeliveryRoutes(app, service)
}

function addDeliveryRoutes(app: FastifyInstance, service: Service): void {
  app.get('/v1/webhook_endpoints/:id/deliveries', async (request) => {
    const query = parse(listDeliveriesQuery, request.query)
    const all = await service.listDeliveries(tenantOf(request), idOf(request), query.limit)
    return presentList(required(all, request).map(presentDelivery), false)
  })

  app.post('/v1/webhook_endpoints/:id/deliveries/:delivery/resend', async (request) => {
    // The route has the parameter.
    const { delivery } = request.params as { delivery: string }
    const sent = await service.resendDelivery(tenantOf(request), idOf(request), delivery)
    return presentDelivery(required(sent, request))
  })
}

function required<T>(found: T | null, request: FastifyRequest): T {
  if (found !== null) return found
  throw new RefusedError('not_found', `No such webhook or delivery: '${idOf(request)}'.`, { status: 404 })
}
