/** Lists of batches: order, pages, and what happens between two pages. */
import assert from 'node:assert/strict'
import { emptyTally } from '../domain/batch.ts'
import type { Batch, Paged, Store } from './store.ts'
import { type Check, isUnknownAfter } from './store-conformance.ts'
import { createdBatch, TENANT } from './store-samples.ts'

export function testBatchLists(check: Check): void {
  check('250 batches page newest first without a gap or a repeat while others are created', async (store) => {
    // Several batches share an instant: their ids decide.
    await createMany(store, 250, (number) => 1_000 + Math.floor(number / 7))
    const seen = await walk(store, { activeFirst: false, limit: 33 }, async (page) => {
      await createdBatch(store, 1_000 + page, { createdAt: 9_000 })
    })
    assert.equal(seen.length, 250)
    assert.equal(new Set(seen).size, 250)
    const sorted = (await everything(store)).filter((batch) => batch.createdAt < 9_000)
    assert.deepEqual(
      seen,
      sorted.map((batch) => batch.id),
    )
  })

  check('with active ones first the ended ones follow, newest first in each', async (store) => {
    await createMany(store, 20, (number) => 1_000 + number)
    for (const number of [3, 19, 8]) await finish(store, `batch_${number}`)
    const { items, hasMore } = await store.batches.list(TENANT, {
      activeFirst: true,
      after: null,
      limit: 100,
    })
    assert.equal(hasMore, false)
    assert.deepEqual(
      items.slice(-3).map((batch) => batch.id),
      ['batch_19', 'batch_8', 'batch_3'],
    )
    assert.equal(items[0]?.id, 'batch_18')
    for (const limit of [1, 4, 17, 20]) {
      assert.deepEqual(
        await walk(store, { activeFirst: true, limit }),
        items.map((batch) => batch.id),
      )
    }
  })

  check('batches that end or begin during a walk are neither left out nor shown twice', async (store) => {
    await createMany(store, 120, (number) => 1_000 + number)
    for (let number = 0; number < 120; number += 3) await finish(store, `batch_${number}`)
    const expected = (await store.batches.list(TENANT, { activeFirst: true, after: null, limit: 1 })).items[0]
      ?.id
    const seen = await walk(store, { activeFirst: true, limit: 10 }, async (page, last) => {
      // The very batch at which the page ended, one further on and one already shown.
      await finish(store, last)
      await finish(store, `batch_${3 * page + 1}`)
      await finish(store, `batch_${118 - 3 * page}`)
      await createdBatch(store, 500 + page)
    })
    assert.equal(seen[0], expected)
    assert.equal(new Set(seen).size, seen.length)
    assert.equal(seen.length, 120)
  })

  check('live batches of all tenants come by number, oldest first', async (store) => {
    const seqs: number[] = []
    for (const [number, tenantId] of ['tenant_a', 'tenant_b', 'tenant_a', 'tenant_b'].entries()) {
      seqs.push((await createdBatch(store, number, { tenantId })).seq)
    }
    await finish(store, 'batch_1')
    const live = await store.batches.live({ after: 0, limit: 2 })
    assert.deepEqual(
      live.map((batch) => batch.seq),
      [seqs[0], seqs[2]],
    )
    const rest = await store.batches.live({ after: seqs[2] ?? 0, limit: 2 })
    assert.deepEqual(
      rest.map((batch) => batch.seq),
      [seqs[3]],
    )
  })

  check('a tenant sees its own batches only, and an unknown cursor is refused', async (store) => {
    await createdBatch(store, 1)
    await createdBatch(store, 2, { tenantId: 'tenant_b' })
    for (const activeFirst of [true, false]) {
      const { items } = await store.batches.list(TENANT, { activeFirst, after: null, limit: 10 })
      assert.deepEqual(
        items.map((batch) => batch.id),
        ['batch_1'],
      )
      for (const after of ['batch_2', 'batch_unknown']) {
        await assert.rejects(store.batches.list(TENANT, { activeFirst, after, limit: 10 }), isUnknownAfter)
      }
    }
  })
}

async function createMany(store: Store, count: number, createdAt: (number: number) => number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, number) => number)
  await Promise.all(numbers.map((number) => createdBatch(store, number, { createdAt: createdAt(number) })))
}

async function finish(store: Store, id: string): Promise<void> {
  await store.batches.start(id, { linesTotal: 0, model: null, at: 5_000 })
  await store.batches.end(id, { as: 'completed', tally: emptyTally, at: 6_000, files: [] })
}

/** Ids of all pages, and what happens between them. */
async function walk(
  store: Store,
  filter: { activeFirst: boolean; limit: number },
  between: (page: number, last: string) => Promise<void> = async () => {},
): Promise<string[]> {
  const seen: string[] = []
  for (let page = 0; page < 1_000; page += 1) {
    const { items, hasMore }: Paged<Batch> = await store.batches.list(TENANT, {
      ...filter,
      after: seen.at(-1) ?? null,
    })
    seen.push(...items.map((batch) => batch.id))
    if (!hasMore) return seen
    await between(page, seen.at(-1) ?? '')
  }
  throw new Error('the walk does not end')
}

async function everything(store: Store): Promise<Batch[]> {
  const all: Batch[] = []
  for (let after = 0; ; ) {
    const page = await store.batches.live({ after, limit: 100 })
    all.push(...page)
    const last = page.at(-1)
    if (last === undefined) break
    after = last.seq
  }
  return all.sort((a, b) =>
    a.createdAt === b.createdAt ? (a.id > b.id ? -1 : 1) : b.createdAt - a.createdAt,
  )
}
