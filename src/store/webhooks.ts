/**
 * Webhooks and what is to be delivered to them. An event becomes a row for each webhook that wants it in the very commit that moves
 * the batch, so that no crash can part the two; the row's id is made of both, so that repeating it changes nothing.
 */
import { type Selectable, sql } from 'kysely'
import { DELIVERIES_KEPT_MAX, WEBHOOKS_PER_TENANT_MAX } from '../domain/limits.ts'
import { isWebhookEvent, type WebhookEvent } from '../domain/webhook.ts'
import { RefusedError } from '../lib/errors.ts'
import { type Database, type Step, step } from './database.ts'
import type { DeliveryTable, WebhookTable } from './schema.ts'
import type { Delivery, Webhook, WebhookStore } from './store.ts'
import type { Watermarks } from './watermarks.ts'

export function createWebhookStore(database: Database, watermarks: Watermarks): WebhookStore {
  return { ...webhookUses(database, watermarks), ...deliveryUses(database, watermarks) }
}

function webhookUses(
  database: Database,
  watermarks: Watermarks,
): Pick<WebhookStore, 'create' | 'get' | 'list' | 'update' | 'remove'> {
  const { build } = database
  const webhooks = build.selectFrom('webhooks').selectAll()
  return {
    async create(webhook) {
      const count = build
        .selectFrom('webhooks')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('tenant_id', '=', webhook.tenantId)
      const [{ rows }] = await database.read(count.compile())
      if ((rows[0]?.count ?? 0) >= WEBHOOKS_PER_TENANT_MAX) {
        throw new RefusedError(
          'too_many_webhooks',
          `There are ${WEBHOOKS_PER_TENANT_MAX} webhooks already, the most one tenant may have.`,
          { status: 409 },
        )
      }
      const insert = build.insertInto('webhooks').values(rowOfWebhook(webhook)).compile()
      await database.write([step(insert, 1), watermarks.seen(webhook.createdAt)])
    },
    async get(id, tenantId) {
      const [{ rows }] = await database.read(webhooks.where('id', '=', id).compile())
      const [row] = rows
      return row === undefined || (tenantId !== null && row.tenant_id !== tenantId) ? null : webhookOfRow(row)
    },
    async list(tenantId) {
      const [{ rows }] = await database.read(
        webhooks
          .where('tenant_id', '=', tenantId)
          .orderBy('created_at', 'desc')
          .orderBy('id', 'desc')
          .limit(WEBHOOKS_PER_TENANT_MAX)
          .compile(),
      )
      return rows.map(webhookOfRow)
    },
    async update(webhook) {
      const { id, tenant_id, ...facts } = rowOfWebhook(webhook)
      const update = build.updateTable('webhooks').set(facts).where('id', '=', id)
      const unit = [
        step(update.where('tenant_id', '=', tenant_id).compile(), 1),
        watermarks.seen(webhook.updatedAt),
      ]
      return (await database.write(unit)).isDone
    },
    async remove(id, tenantId) {
      const remove = build.deleteFrom('webhooks').where('id', '=', id).where('tenant_id', '=', tenantId)
      const log = build.deleteFrom('deliveries').where('webhook_id', '=', id)
      return (await database.write([step(remove.compile(), 1), step(log.compile())])).isDone
    },
  }
}

function deliveryUses(
  database: Database,
  watermarks: Watermarks,
): Omit<WebhookStore, 'create' | 'get' | 'list' | 'update' | 'remove'> {
  const { build } = database
  const deliveries = build.selectFrom('deliveries').selectAll()
  return {
    async announce(batchId, event, at) {
      await database.write([announcement(database, { batchId, event, at })])
    },
    async putDelivery(delivery) {
      const { id, ...facts } = rowOfDelivery(delivery)
      const upsert = build
        .insertInto('deliveries')
        .values({ id, ...facts })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(facts))
      await database.write([step(upsert.compile(), 1), watermarks.seen(delivery.createdAt)])
    },
    async noteAttempt(delivery) {
      const { id, status, attempts, next_at, last_attempt_at, last_status, last_error } =
        rowOfDelivery(delivery)
      const update = build
        .updateTable('deliveries')
        .set({ status, attempts, next_at, last_attempt_at, last_status, last_error })
        .where('id', '=', id)
      // The webhook may have been removed meanwhile, and its log with it.
      await database.write([step(update.compile()), keepLast(database, delivery.webhookId)])
    },
    async due(at, limit) {
      const [{ rows }] = await database.read(
        deliveries.where('next_at', '<=', at).orderBy('next_at').orderBy('id').limit(limit).compile(),
      )
      return rows.map(deliveryOfRow)
    },
    async nextDueAt() {
      const [{ rows }] = await database.read(
        build
          .selectFrom('deliveries')
          .select(({ fn }) => fn.min('next_at').as('at'))
          .compile(),
      )
      return rows[0]?.at ?? null
    },
    async getDelivery(id, webhookId) {
      const query = deliveries.where('id', '=', id).where('webhook_id', '=', webhookId)
      const [{ rows }] = await database.read(query.compile())
      return rows[0] === undefined ? null : deliveryOfRow(rows[0])
    },
    async deliveries(webhookId, limit) {
      const [{ rows }] = await database.read(newest(database, webhookId).selectAll().limit(limit).compile())
      return rows.map(deliveryOfRow)
    },
  }
}

/** A row for each webhook of the batch's tenant that wants the event. Belongs into the unit that moves the batch. */
export function announcement(
  { build }: Database,
  { batchId, event, at }: { batchId: string; event: WebhookEvent; at: number },
): Step {
  const idEnd = `_${batchId.replace(/^batch_/, '')}_${event.replace('batch.', '')}`
  const instant = sql<number>`cast(${at} as bigint)`
  const wanting = build
    .selectFrom('webhooks')
    .innerJoin('batches', 'batches.tenant_id', 'webhooks.tenant_id')
    .select([
      sql<string>`'wh_' || substr(webhooks.id, 5) || cast(${idEnd} as text)`.as('id'),
      'webhooks.id as webhook_id',
      sql<string>`cast(${event} as text)`.as('event'),
      'batches.id as batch_id',
      instant.as('created_at'),
      sql<'waiting'>`'waiting'`.as('status'),
      sql<number>`0`.as('attempts'),
      instant.as('next_at'),
    ])
    .where('batches.id', '=', batchId)
    .where('webhooks.disabled_reason', 'is', null)
    .where('webhooks.events', 'like', `%"${event}"%`)
  const insert = build
    .insertInto('deliveries')
    .columns(['id', 'webhook_id', 'event', 'batch_id', 'created_at', 'status', 'attempts', 'next_at'])
    .expression(wanting)
    .onConflict((conflict) => conflict.column('id').doNothing())
  return step(insert.compile())
}

function newest({ build }: Database, webhookId: string) {
  return build
    .selectFrom('deliveries')
    .where('webhook_id', '=', webhookId)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
}

/** Lets go of the oldest deliveries of a webhook beyond the bound, except those that still wait. */
function keepLast(database: Database, webhookId: string): Step {
  const kept = newest(database, webhookId).select('id').limit(DELIVERIES_KEPT_MAX)
  return step(
    database.build
      .deleteFrom('deliveries')
      .where('webhook_id', '=', webhookId)
      .where('next_at', 'is', null)
      .where('id', 'not in', kept)
      .compile(),
  )
}

function rowOfWebhook(webhook: Webhook): WebhookTable {
  return {
    id: webhook.id,
    tenant_id: webhook.tenantId,
    name: webhook.name,
    url: webhook.url,
    events: JSON.stringify(webhook.events),
    secret: webhook.secret,
    previous_secret: webhook.previousSecret,
    previous_secret_until_at: webhook.previousSecretUntilAt,
    created_at: webhook.createdAt,
    updated_at: webhook.updatedAt,
    disabled_reason: webhook.disabledReason,
  }
}

function webhookOfRow(row: Selectable<WebhookTable>): Webhook {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    url: row.url,
    // Written by `rowOfWebhook`; events of a newer program are passed over.
    events: (JSON.parse(row.events) as string[]).filter(isWebhookEvent),
    secret: row.secret,
    previousSecret: row.previous_secret,
    previousSecretUntilAt: row.previous_secret_until_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    disabledReason: row.disabled_reason,
  }
}

function rowOfDelivery(delivery: Delivery): DeliveryTable {
  return {
    id: delivery.id,
    webhook_id: delivery.webhookId,
    event: delivery.event,
    batch_id: delivery.batchId,
    created_at: delivery.createdAt,
    status: delivery.status,
    attempts: delivery.attempts,
    next_at: delivery.nextAt,
    last_attempt_at: delivery.lastAttemptAt,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
  }
}

function deliveryOfRow(row: Selectable<DeliveryTable>): Delivery {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    event: row.event,
    batchId: row.batch_id,
    createdAt: row.created_at,
    status: row.status,
    attempts: row.attempts,
    nextAt: row.next_at,
    lastAttemptAt: row.last_attempt_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
  }
}
