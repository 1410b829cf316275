import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { openRig, TENANT } from '../../test/kit/service-rig.ts'
import type { Batch } from '../domain/batch.ts'
import { TroubleError } from '../lib/errors.ts'
import type { BatchStore } from '../store/store.ts'

/** Faults that a test puts between the use-cases and the rows of batches. */
type Faults = Partial<Pick<BatchStore, 'create' | 'get' | 'list' | 'cancel'>>

let faults: Faults = {}
const rig = await openRig({
  wrapStore: ({ batches, ...store }) => ({
    ...store,
    batches: {
      ...batches,
      create: (batch, idempotency) => (faults.create ?? batches.create)(batch, idempotency),
      get: (id, tenantId) => (faults.get ?? batches.get)(id, tenantId),
      list: (tenantId, filter) => (faults.list ?? batches.list)(tenantId, filter),
      cancel: (id, at) => (faults.cancel ?? batches.cancel)(id, at),
    },
  }),
})
const real = rig.store.batches
afterEach(() => {
  faults = {}
})
after(() => rig.close())

const DAY_MS = 86_400_000
const input = await rig.upload(jsonl([chatLine(1), chatLine(2), chatLine(3)]))
const lost = new TroubleError('disk_failed', 'the answer of the commit was lost')
const newest = { activeFirst: false, after: null, limit: 1 }

function present(batch: Batch | null): Batch {
  assert.ok(batch !== null)
  return batch
}

test('a new batch validates, has its deadline and the ids of its files, and wakes the engine', async () => {
  const batch = await rig.create(input.id, { metadata: { team: 'a' } })
  assert.match(batch.id, /^batch_[a-z2-7]{26}$/)
  assert.equal(batch.status, 'validating')
  assert.equal(batch.expiresAt, rig.clock.now() + DAY_MS)
  assert.match(batch.outputFileIdReserved, /^file-[a-z2-7]{26}$/)
  assert.notEqual(batch.outputFileIdReserved, batch.errorFileIdReserved)
  assert.equal(batch.outputFileId, null)
  assert.equal(rig.engine.woken.at(-1), batch.id)
  assert.deepEqual(await rig.service.getBatch(TENANT, batch.id), batch)
  assert.equal(await rig.service.getBatch('tenant_other', batch.id), null)
  assert.equal(await rig.service.cancelBatch('tenant_other', batch.id), null)
  assert.equal(await rig.service.analyse('tenant_other', batch.id), null)
})

test('a batch of an unknown file is made all the same: it fails later, as at OpenAI', async () => {
  assert.equal((await rig.create('file-none')).status, 'validating')
})

test('results are no input of a batch, and a window that is not offered is refused by name', async () => {
  const batch = await rig.create(input.id)
  await rig.answer(batch.id, [{ lineIndex: 0, outcome: 'succeeded' }])
  await assert.rejects(rig.create(batch.outputFileIdReserved), { status: 400, param: 'input_file_id' })
  await assert.rejects(rig.create(input.id, { window: '48h' }), {
    message: "Invalid value: '48h'. Supported values are: '24h', and '1h'.",
    param: 'completion_window',
  })
})

test('the same key and the same request give the same batch, in whatever order its metadata stands', async () => {
  const request = { idempotencyKey: 'key-1', metadata: { a: '1', b: '2' } }
  const first = await rig.create(input.id, request)
  const second = await rig.create(input.id, { ...request, metadata: { b: '2', a: '1' } })
  assert.equal(second.id, first.id)
  const changes = [
    { metadata: { a: '1', b: '3' } },
    { metadata: null },
    { window: '1h' },
    { endpoint: '/v1/embeddings' as const },
    { outputExpiresAfterSeconds: 3_600 },
  ]
  for (const change of changes) {
    await assert.rejects(rig.create(input.id, { ...request, ...change }), { code: 'idempotency_mismatch' })
  }
  await assert.rejects(rig.create('file-other', request), { code: 'idempotency_mismatch' })
  assert.notEqual((await rig.create(input.id, { ...request, idempotencyKey: 'key-2' })).id, first.id)
})

test('a repeated create shows how far its batch has come', async () => {
  const batch = await rig.create(input.id, { idempotencyKey: 'key-3' })
  await rig.answer(batch.id, [{ lineIndex: 0, outcome: 'succeeded' }])
  const again = await rig.create(input.id, { idempotencyKey: 'key-3' })
  assert.equal(again.status, 'in_progress')
  assert.equal(again.tally.completed, 1)
})

test('the counts of a live batch are those of the engine, in a get and in a list', async () => {
  const batch = await rig.create(input.id)
  await rig.answer(batch.id, [
    { lineIndex: 0, outcome: 'succeeded' },
    { lineIndex: 2, outcome: 'failed' },
  ])
  const shown = present(await rig.service.getBatch(TENANT, batch.id))
  assert.deepEqual([shown.tally.completed, shown.tally.failed], [1, 1])
  const page = await rig.service.listBatches(TENANT, { activeFirst: true, after: null, limit: 1 })
  assert.deepEqual(page.items, [shown])
  assert.equal(page.hasMore, true)

  const row = present(await rig.store.batches.get(batch.id, null))
  await rig.store.batches.storeTally([{ id: batch.id, tally: shown.tally }])
  rig.engine.tallies.set(batch.id, row.tally)
  assert.equal(present(await rig.service.getBatch(TENANT, batch.id)).tally.completed, 1)
})

test('counts never go back when the batch ends between the read of its row and the look at the engine', async () => {
  let meanwhile: (() => Promise<unknown>) | null = null
  const then = async <T>(row: T): Promise<T> => {
    const once = meanwhile
    meanwhile = null
    await once?.()
    return row
  }
  faults = {
    get: async (id, tenantId) => then(await real.get(id, tenantId)),
    list: async (tenantId, filter) => then(await real.list(tenantId, filter)),
  }
  for (const read of ['get', 'list'] as const) {
    const { id } = await rig.create(input.id)
    await rig.answer(id, [{ lineIndex: 0, outcome: 'succeeded' }])
    assert.equal(present(await rig.service.getBatch(TENANT, id)).tally.completed, 1)
    meanwhile = () => rig.end(id, 'completed')
    const shown =
      read === 'get'
        ? await rig.service.getBatch(TENANT, id)
        : (await rig.service.listBatches(TENANT, newest)).items[0]
    assert.deepEqual([shown?.status, shown?.tally.completed], ['completed', 1], read)
  }
})

test('a cancel moves a live batch once, and is answered with the batch as it is from then on', async () => {
  const batch = await rig.create(input.id)
  const cancelling = present(await rig.service.cancelBatch(TENANT, batch.id))
  assert.equal(cancelling.status, 'cancelling')
  assert.equal(cancelling.cancellingAt, rig.clock.now())
  assert.equal(rig.engine.woken.at(-1), batch.id)
  rig.clock.advance(5)
  assert.equal(present(await rig.service.cancelBatch(TENANT, batch.id)).cancellingAt, cancelling.cancellingAt)
  await rig.store.batches.end(batch.id, {
    as: 'cancelled',
    tally: batch.tally,
    at: rig.clock.now(),
    files: [],
  })
  assert.equal(present(await rig.service.cancelBatch(TENANT, batch.id)).status, 'cancelled')
  assert.equal(await rig.service.cancelBatch(TENANT, 'batch_none'), null)
})

test('a batch that has ended cannot be cancelled', async () => {
  const completed = await rig.create(input.id)
  await rig.end(completed.id, 'completed')
  const expired = await rig.create(input.id)
  await rig.end(expired.id, 'expired')
  const failed = await rig.create(input.id)
  await rig.store.batches.fail(failed.id, { findings: [], findingsTotal: 1, at: rig.clock.now() })
  for (const [status, { id }] of Object.entries({ completed, expired, failed })) {
    await assert.rejects(rig.service.cancelBatch(TENANT, id), {
      code: 'batch_ended',
      status: 409,
      message: `Cannot cancel a batch with status '${status}'.`,
    })
  }
})

test('a cancel that comes just behind the end is told what the batch has become', async () => {
  const { id } = await rig.create(input.id)
  faults.cancel = async (batchId, at) => {
    await rig.end(batchId, 'completed')
    return real.cancel(batchId, at)
  }
  await assert.rejects(rig.service.cancelBatch(TENANT, id), {
    message: "Cannot cancel a batch with status 'completed'.",
  })
})

test('the engine hears of a cancel whose commit was lost on the way', async () => {
  const { id } = await rig.create(input.id)
  faults.cancel = async (batchId, at) => {
    await real.cancel(batchId, at)
    throw lost
  }
  rig.engine.woken.length = 0
  await assert.rejects(rig.service.cancelBatch(TENANT, id), lost)
  assert.deepEqual(rig.engine.woken, [id])
})

test('a create whose commit was lost on the way is answered by what is stored', async () => {
  faults.create = async (batch, idempotency) => {
    await real.create(batch, idempotency)
    throw lost
  }
  const batch = await rig.create(input.id)
  assert.deepEqual(await real.get(batch.id, TENANT), batch)
  assert.equal(rig.engine.woken.at(-1), batch.id)

  faults.create = () => Promise.reject(lost)
  rig.engine.woken.length = 0
  await assert.rejects(rig.create(input.id), lost)
  assert.deepEqual((await rig.service.listBatches(TENANT, newest)).items, [batch])
  assert.deepEqual(rig.engine.woken, [])
})
