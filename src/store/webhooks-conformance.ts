/** Webhooks and their deliveries: what every implementation of `Store` does with them. */
import assert from 'node:assert/strict'
import { emptyTally } from '../domain/batch.ts'
import { DELIVERIES_KEPT_MAX, WEBHOOKS_PER_TENANT_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'
import type { Delivery, Store, Webhook } from './store.ts'
import type { Check } from './store-conformance.ts'
import { createdBatch, TENANT } from './store-samples.ts'

export function testWebhooks(check: Check): void {
  check('a webhook reads back as it was stored, for its tenant and the sender only', async (store) => {
    const webhook = sampleWebhook(1, { previousSecret: 'whsec_b2xk', previousSecretUntilAt: 9_000 })
    await store.webhooks.create(webhook)
    assert.deepEqual(await store.webhooks.get(webhook.id, TENANT), webhook)
    assert.deepEqual(await store.webhooks.get(webhook.id, null), webhook)
    assert.equal(await store.webhooks.get(webhook.id, 'tenant_other'), null)
    assert.deepEqual(await store.webhooks.list(TENANT), [webhook])
    assert.deepEqual(await store.webhooks.list('tenant_other'), [])
    const changed = { ...webhook, url: 'https://example.com/new', updatedAt: 3_000 }
    assert.equal(await store.webhooks.update({ ...changed, tenantId: 'tenant_other' }), false)
    assert.equal(await store.webhooks.update(changed), true)
    assert.deepEqual(await store.webhooks.get(webhook.id, TENANT), changed)
    assert.equal(await store.webhooks.remove(webhook.id, 'tenant_other'), false)
    assert.equal(await store.webhooks.remove(webhook.id, TENANT), true)
    assert.equal(await store.webhooks.get(webhook.id, null), null)
  })

  check('a tenant has a bounded number of webhooks', async (store) => {
    for (let number = 0; number < WEBHOOKS_PER_TENANT_MAX; number += 1)
      await store.webhooks.create(sampleWebhook(number))
    const isFull = (thrown: unknown): boolean =>
      thrown instanceof RefusedError && thrown.code === 'too_many_webhooks'
    await assert.rejects(store.webhooks.create(sampleWebhook(1_000)), isFull)
    await store.webhooks.create(sampleWebhook(1_001, { tenantId: 'tenant_other' }))
  })

  check('the end of a batch is due at the webhooks that want it, and at no other', async (store) => {
    await store.webhooks.create(sampleWebhook(1))
    await store.webhooks.create(sampleWebhook(2, { events: ['batch.failed'] }))
    await store.webhooks.create(sampleWebhook(3, { tenantId: 'tenant_other' }))
    await store.webhooks.create(sampleWebhook(4, { disabledReason: 'gone' }))
    await running(store, 1)
    assert.deepEqual(await store.webhooks.due(10_000, 10), [])
    await store.batches.end('batch_1', { as: 'completed', tally: emptyTally, at: 5_000, files: [] })
    const [delivery, ...more] = await store.webhooks.due(10_000, 10)
    assert.deepEqual(more, [])
    assert.deepEqual(delivery, {
      id: 'wh_1_1_completed',
      webhookId: 'whe_1',
      event: 'batch.completed',
      batchId: 'batch_1',
      createdAt: 5_000,
      status: 'waiting',
      attempts: 0,
      nextAt: 5_000,
      lastAttemptAt: null,
      lastStatus: null,
      lastError: null,
    })
    assert.deepEqual(await store.webhooks.due(4_999, 10), [])
    assert.equal(await store.webhooks.nextDueAt(), 5_000)
  })

  check(
    'each way in which a batch ends is announced once, and a move that changes nothing is not',
    async (store) => {
      await store.webhooks.create(sampleWebhook(1))
      await createdBatch(store, 1)
      assert.equal(await store.batches.fail('batch_1', { findings: [], findingsTotal: 1, at: 100 }), true)
      assert.equal(await store.batches.fail('batch_1', { findings: [], findingsTotal: 1, at: 101 }), false)
      await running(store, 2)
      await store.batches.finalize('batch_2', { endsAs: 'expired', at: 200 })
      for (const at of [201, 202])
        await store.batches.end('batch_2', { as: 'expired', tally: emptyTally, at, files: [] })
      await running(store, 3)
      await store.batches.cancel('batch_3', 300)
      await store.batches.end('batch_3', { as: 'cancelled', tally: emptyTally, at: 301, files: [] })
      await running(store, 4)
      for (const at of [400, 401]) await store.webhooks.announce('batch_4', 'batch.at_risk', at)
      const due = await store.webhooks.due(10_000, 10)
      assert.deepEqual(
        due.map(({ event, batchId, createdAt }) => [event, batchId, createdAt]),
        [
          ['batch.failed', 'batch_1', 100],
          ['batch.expired', 'batch_2', 201],
          ['batch.cancelled', 'batch_3', 301],
          ['batch.at_risk', 'batch_4', 400],
        ],
      )
    },
  )

  check('an attempt moves its delivery, and the log of a removed webhook is gone', async (store) => {
    await store.webhooks.create(sampleWebhook(1))
    await running(store, 1)
    await store.webhooks.announce('batch_1', 'batch.at_risk', 100)
    const [due] = await store.webhooks.due(100, 1)
    assert.ok(due !== undefined)
    const failed = {
      ...due,
      attempts: 1,
      nextAt: 900,
      lastAttemptAt: 150,
      lastStatus: 500,
      lastError: '500 no',
    }
    await store.webhooks.noteAttempt(failed)
    assert.deepEqual(await store.webhooks.due(899, 10), [])
    assert.deepEqual(await store.webhooks.due(900, 10), [failed])
    assert.deepEqual(await store.webhooks.deliveries('whe_1', 10), [failed])
    assert.deepEqual(await store.webhooks.getDelivery(due.id, 'whe_1'), failed)
    assert.equal(await store.webhooks.getDelivery(due.id, 'whe_2'), null)
    await store.webhooks.remove('whe_1', TENANT)
    await store.webhooks.noteAttempt(failed)
    assert.equal(await store.webhooks.nextDueAt(), null)
  })

  check('the log of a webhook keeps the last deliveries and all that wait', async (store) => {
    await store.webhooks.create(sampleWebhook(1))
    const delivery = (number: number, nextAt: number | null): Delivery => ({
      id: `wh_${number}`,
      webhookId: 'whe_1',
      event: 'batch.completed',
      batchId: 'batch_1',
      createdAt: number,
      status: nextAt === null ? 'delivered' : 'waiting',
      attempts: 1,
      nextAt,
      lastAttemptAt: number,
      lastStatus: 200,
      lastError: null,
    })
    await store.webhooks.putDelivery(delivery(0, 5))
    const total = DELIVERIES_KEPT_MAX + 3
    await Promise.all(
      Array.from({ length: total }, (_, at) => store.webhooks.putDelivery(delivery(at + 1, null))),
    )
    await store.webhooks.noteAttempt(delivery(total, null))
    const kept = await store.webhooks.deliveries('whe_1', total + 1)
    assert.equal(kept.length, DELIVERIES_KEPT_MAX + 1)
    assert.equal(kept.at(-1)?.id, 'wh_0')
    assert.equal(kept.at(-2)?.id, 'wh_4')
  })
}

async function running(store: Store, number: number): Promise<void> {
  const { id } = await createdBatch(store, number)
  await store.batches.start(id, { linesTotal: 1, model: null, at: 1 })
}

function sampleWebhook(number: number, more: Partial<Webhook> = {}): Webhook {
  return {
    id: `whe_${number}`,
    tenantId: TENANT,
    name: 'mine',
    url: 'https://example.com/hook',
    events: ['batch.completed', 'batch.failed', 'batch.expired', 'batch.cancelled', 'batch.at_risk'],
    secret: 'whsec_bmV3',
    previousSecret: null,
    previousSecretUntilAt: null,
    createdAt: 1_000 + number,
    updatedAt: 1_000 + number,
    disabledReason: null,
    ...more,
  }
}
