/** What every implementation of `Store` does. Run by the test file of each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UPSTREAMS_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'
import { testBatchLists } from './lists-conformance.ts'
import { testBatchMoves } from './moves-conformance.ts'
import type { Key, Store } from './store.ts'
import { createdBatch, type OpenStore, sampleBatch, sampleFile, TENANT } from './store-samples.ts'
import { testWebhooks } from './webhooks-conformance.ts'

export function testStore(implementation: string, open: OpenStore): void {
  const check = (name: string, body: (store: Store) => Promise<void>): void => {
    test(`${implementation}: ${name}`, async () => {
      const { store, dispose } = await open()
      try {
        await body(store)
      } finally {
        await dispose()
      }
    })
  }
  testFiles(check)
  testCreation(check)
  testBatchMoves(check)
  testBatchLists(check)
  testKeysAndUpstreams(check)
  testWebhooks(check)
}

export type Check = (name: string, body: (store: Store) => Promise<void>) => void

function testFiles(check: Check): void {
  check('a file reads back as it was stored, for its tenant and the engine only', async (store) => {
    const file = sampleFile(1, {
      expiresAt: 9_000,
      extents: [{ blob: 'a', offset: 0, bytes: 5, firstLine: 0 }],
    })
    await store.files.create(file)
    assert.deepEqual(await store.files.get(file.id, TENANT), file)
    assert.deepEqual(await store.files.get(file.id, null), file)
    assert.equal(await store.files.get(file.id, 'tenant_other'), null)
    assert.equal(await store.files.get('file-unknown', null), null)
    await assert.rejects(store.files.create(file))
    assert.deepEqual(await store.files.get(file.id, null), file)
  })

  check('a hidden file is gone for all but live batches, and is hidden once', async (store) => {
    await store.files.create(sampleFile(1))
    assert.equal(await store.files.hide('file-1', 2_000), true)
    assert.equal(await store.files.hide('file-1', 3_000), false)
    assert.equal(await store.files.hide('file-unknown', 3_000), false)
    assert.equal(await store.files.get('file-1', null), null)
    assert.equal((await store.files.getEvenDeleted('file-1'))?.deletedAt, 2_000)
    assert.deepEqual((await store.files.list(TENANT, ALL_FILES)).items, [])
  })

  check(
    'the bytes of a hidden input may go when no live batch needs them, and never before',
    async (store) => {
      await store.files.create(sampleFile(1))
      await store.files.create(sampleFile(2))
      await createdBatch(store, 1, { inputFileId: 'file-1' })
      await store.files.hide('file-1', 2_000)
      assert.deepEqual(await store.files.removable(10), [])
      await store.batches.fail('batch_1', { findings: [], findingsTotal: 0, at: 3_000 })
      assert.deepEqual(ids(await store.files.removable(10)), ['file-1'])
      await store.files.forget('file-2')
      assert.notEqual(await store.files.get('file-2', null), null)
      await store.files.forget('file-1')
      assert.equal(await store.files.getEvenDeleted('file-1'), null)
      assert.equal((await store.batches.get('batch_1', null))?.inputFileId, 'file-1')
    },
  )

  check('files expire at their instant, in its order, except the results of a live batch', async (store) => {
    await store.files.create(sampleFile(1, { expiresAt: 300 }))
    await store.files.create(sampleFile(2, { expiresAt: 200 }))
    await store.files.create(sampleFile(3))
    await createdBatch(store, 1)
    await store.batches.start('batch_1', { linesTotal: 1, model: null, at: 100 })
    const output = sampleFile(4, { id: 'file-out-1', kind: 'output', batchId: 'batch_1', expiresAt: 150 })
    await store.batches.revealOutput('batch_1', output)
    assert.deepEqual(ids(await store.files.expired(199, 10)), [])
    assert.deepEqual(ids(await store.files.expired(200, 10)), ['file-2'])
    assert.deepEqual(ids(await store.files.expired(900, 10)), ['file-2', 'file-1'])
    assert.deepEqual(ids(await store.files.expired(900, 1)), ['file-2'])
    await store.files.hide('file-2', 900)
    assert.deepEqual(ids(await store.files.expired(900, 10)), ['file-1'])
  })

  check('250 files page without a gap or a repeat while others come and go', async (store) => {
    for (let number = 0; number < 250; number += 1) {
      // Several files share an instant: their ids decide.
      await store.files.create(
        sampleFile(number, {
          createdAt: 1_000 + Math.floor(number / 7),
          purpose: number % 2 === 0 ? 'batch' : 'other',
        }),
      )
    }
    const before = ids((await store.files.list(TENANT, { ...ALL_FILES, order: 'asc' })).items)
    const seen: string[] = []
    let after: string | null = null
    for (let page = 0; ; page += 1) {
      const { items, hasMore }: { items: { id: string }[]; hasMore: boolean } = await store.files.list(
        TENANT,
        { ...ALL_FILES, after, limit: 33 },
      )
      seen.push(...ids(items))
      if (!hasMore) break
      after = seen.at(-1) ?? null
      await store.files.create(sampleFile(1_000 + page, { createdAt: 5_000 }))
      // The very file at which the page ended goes away.
      if (after !== null) await store.files.hide(after, 6_000)
    }
    assert.deepEqual(seen.toReversed(), before)
    const batchOnly = await store.files.list(TENANT, { ...ALL_FILES, purpose: 'batch', limit: 10 })
    assert.ok(batchOnly.hasMore && batchOnly.items.every((file) => file.purpose === 'batch'))
    assert.deepEqual((await store.files.list('tenant_other', ALL_FILES)).items, [])
  })

  check('a list after an unknown file, or one of another tenant, is refused', async (store) => {
    await store.files.create(sampleFile(1, { tenantId: 'tenant_other' }))
    for (const after of ['file-1', 'file-unknown']) {
      await assert.rejects(store.files.list(TENANT, { ...ALL_FILES, after }), isUnknownAfter)
    }
  })
}

function testCreation(check: Check): void {
  check('a new batch is validating, complete and numbered densely', async (store) => {
    const wanted = sampleBatch(1, { metadata: { team: 'a' }, outputExpiresAfterSeconds: 3_600 })
    const { batch, isNew } = await store.batches.create(wanted, null)
    assert.equal(isNew, true)
    assert.equal(batch.status, 'validating')
    assert.equal(batch.endsAs, null)
    for (const [name, value] of Object.entries(wanted))
      assert.deepEqual(batch[name as keyof typeof batch], value)
    assert.deepEqual(await store.batches.get('batch_1', TENANT), batch)
    assert.equal(await store.batches.get('batch_1', 'tenant_other'), null)
    assert.equal((await createdBatch(store, 2)).seq, batch.seq + 1)
  })

  check('one idempotency key makes one batch, whoever comes first', async (store) => {
    const key = { tenantId: TENANT, key: 'k', bodyHash: 'h', expiresAt: 50_000 }
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, number) => store.batches.create(sampleBatch(number), key)),
    )
    assert.equal(made.filter(({ isNew }) => isNew).length, 1)
    assert.equal(new Set(made.map(({ batch }) => batch.id)).size, 1)
    assert.equal((await store.batches.live({ after: 0, limit: 100 })).length, 1)
    // The losers of the race have used up no number.
    assert.equal((await createdBatch(store, 90)).seq, (made[0]?.batch.seq ?? 0) + 1)
  })

  check(
    'an idempotency key with another body is refused, with another tenant or later it is free',
    async (store) => {
      const key = { tenantId: TENANT, key: 'k', bodyHash: 'h', expiresAt: 50_000 }
      await store.batches.create(sampleBatch(1), key)
      await assert.rejects(
        store.batches.create(sampleBatch(2), { ...key, bodyHash: 'other' }),
        (thrown) =>
          thrown instanceof RefusedError && thrown.code === 'idempotency_mismatch' && thrown.status === 409,
      )
      assert.equal(await store.batches.get('batch_2', null), null)
      assert.equal(
        (await store.batches.create(sampleBatch(3), { ...key, tenantId: 'tenant_other' })).isNew,
        true,
      )
      const later = { ...key, bodyHash: 'other', expiresAt: 90_000 }
      assert.equal((await store.batches.create(sampleBatch(4, { createdAt: 50_000 }), later)).isNew, true)
    },
  )

  check('a batch has one live child, however many ask at once', async (store) => {
    await createdBatch(store, 1)
    const retries = (from: number) =>
      Promise.all(
        Array.from({ length: 8 }, (_, number) =>
          store.batches.create(sampleBatch(from + number, { retryOf: 'batch_1' }), null),
        ),
      )
    const first = await retries(10)
    assert.equal(first.filter(({ isNew }) => isNew).length, 1)
    const child = first[0]?.batch.id ?? ''
    assert.ok(first.every(({ batch }) => batch.id === child))
    assert.deepEqual(ids(await store.batches.children('batch_1')), [child])
    await store.batches.fail(child, { findings: [], findingsTotal: 0, at: 5_000 })
    const second = await retries(20)
    assert.equal(second.filter(({ isNew }) => isNew).length, 1)
    assert.notEqual(second[0]?.batch.id, child)
    assert.deepEqual(ids(await store.batches.children('batch_1')), [second[0]?.batch.id])
    assert.deepEqual(await store.batches.children('batch_unknown'), [])
  })

  check('a key that met a live child names that child for ever', async (store) => {
    await createdBatch(store, 1)
    await createdBatch(store, 2, { retryOf: 'batch_1' })
    const key = { tenantId: TENANT, key: 'k', bodyHash: 'h', expiresAt: 50_000 }
    const retry = (number: number) => store.batches.create(sampleBatch(number, { retryOf: 'batch_1' }), key)
    assert.equal((await retry(3)).batch.id, 'batch_2')
    await store.batches.fail('batch_2', { findings: [], findingsTotal: 0, at: 5_000 })
    const again = await retry(4)
    assert.equal(again.batch.id, 'batch_2')
    assert.equal(again.isNew, false)
  })
}

function testKeysAndUpstreams(check: Check): void {
  const key: Key = {
    id: 'key_1',
    tenantId: TENANT,
    name: 'laptop',
    tail: 'wxyz',
    createdAt: 100,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  }
  check('a key is found by its hash, revoked once, and open mode has then ended for good', async (store) => {
    assert.equal(await store.keys.any(), false)
    await store.keys.create(key, 'hash-1')
    await store.keys.create({ ...key, id: 'key_2', createdAt: 200 }, 'hash-2')
    assert.deepEqual(await store.keys.findByHash('hash-1'), key)
    assert.equal(await store.keys.findByHash('hash-unknown'), null)
    await assert.rejects(store.keys.create({ ...key, id: 'key_3' }, 'hash-1'))
    assert.deepEqual(ids(await store.keys.list()), ['key_2', 'key_1'])
    assert.equal(await store.keys.revoke('key_1', 300), true)
    assert.equal(await store.keys.revoke('key_1', 400), false)
    assert.equal((await store.keys.findByHash('hash-1'))?.revokedAt, 300)
    await store.keys.touch('key_2', 500)
    await store.keys.touch('key_2', 450)
    assert.equal((await store.keys.findByHash('hash-2'))?.lastUsedAt, 500)
    assert.equal(await store.keys.revoke('key_2', 600), true)
    assert.equal(await store.keys.any(), true)
  })

  check('an upstream is put, replaced and removed by its name', async (store) => {
    const row = { name: 'gpu', url: 'http://a/v1', concurrency: 4, hasKey: false, createdAt: 100 }
    await store.upstreams.put(row)
    await store.upstreams.put({ ...row, name: 'cpu', createdAt: 50 })
    await store.upstreams.put({ ...row, url: 'http://b/v1', hasKey: true })
    assert.deepEqual(await store.upstreams.list(), [
      { ...row, name: 'cpu', createdAt: 50 },
      { ...row, url: 'http://b/v1', hasKey: true },
    ])
    assert.equal(await store.upstreams.remove('gpu'), true)
    assert.equal(await store.upstreams.remove('gpu'), false)
  })

  check('upstreams have a limit, and those there are can still be replaced', async (store) => {
    const row = { url: 'http://a/v1', concurrency: 4, hasKey: false, createdAt: 100 }
    const names = Array.from({ length: UPSTREAMS_MAX }, (_, number) => `u${number}`)
    for (let from = 0; from < names.length; from += 250) {
      await Promise.all(names.slice(from, from + 250).map((name) => store.upstreams.put({ ...row, name })))
    }
    await assert.rejects(
      store.upstreams.put({ ...row, name: 'more' }),
      (thrown) => thrown instanceof RefusedError && thrown.code === 'too_many_upstreams',
    )
    await store.upstreams.put({ ...row, name: 'u0', concurrency: 9 })
    assert.equal((await store.upstreams.list()).length, UPSTREAMS_MAX)
  })

  check('the newest instant is that of any write, and a deadline is none', async (store) => {
    assert.equal(await store.newestAt(), 0)
    await store.files.create(sampleFile(1, { createdAt: 1_000, expiresAt: 900_000 }))
    assert.equal(await store.newestAt(), 1_000)
    await createdBatch(store, 1, { createdAt: 2_000, expiresAt: 900_000 })
    assert.equal(await store.newestAt(), 2_000)
    await store.batches.cancel('batch_1', 3_000)
    assert.equal(await store.newestAt(), 3_000)
    await store.batches.cancel('batch_1', 4_000)
    await store.files.hide('file-1', 2_500)
    assert.equal(await store.newestAt(), 3_000)
    await store.keys.create({ ...key, createdAt: 5_000 }, 'hash')
    assert.equal(await store.newestAt(), 5_000)
    await store.check()
  })
}

const ALL_FILES = { purpose: null, order: 'desc', after: null, limit: 10_000 } as const

function ids(rows: readonly { id: string }[]): string[] {
  return rows.map(({ id }) => id)
}

export function isUnknownAfter(thrown: unknown): boolean {
  return thrown instanceof RefusedError && thrown.code === 'invalid_value' && thrown.param === 'after'
}
