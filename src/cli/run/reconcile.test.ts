import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestDesk } from '../../jsonl/tools/desk-for-tests.ts'
import { createSeededRandom } from '../../lib/random.ts'
import type { Outcome } from '../foreign/outcome.ts'
import { createReconciler, outcomes } from './reconcile.ts'

test('whatever comes back, the counts and the lines that stay are those of a plain comparison', () => {
  const desk = createTestDesk()
  const seed = 20_260
  const random = createSeededRandom(seed)
  const requests = Array.from({ length: 5_000 }, (_, number) => `request-${number}`)
  const results: { id: string; outcome: Outcome }[] = []
  for (const id of requests) {
    const fate = random.float()
    // A tenth is lost, some are doubled, some belong to nobody, once or twice.
    const times = fate < 0.1 ? 0 : fate < 0.12 ? 2 : fate < 0.125 ? 3 : 1
    for (let time = 0; time < times; time += 1)
      results.push({ id, outcome: outcomes[Math.floor(random.float() * outcomes.length)] ?? 'failed' })
    if (fate > 0.99) results.push({ id: `stranger-${Math.floor(random.float() * 20)}`, outcome: 'succeeded' })
  }
  results.sort(() => random.float() - 0.5)
  const reconciler = createReconciler(desk)
  for (const id of requests) reconciler.addRequest(id)
  for (const { id, outcome } of results) reconciler.addResult(id, outcome)
  const settled = reconciler.settle()

  const seen = new Set<string>()
  const known = new Set(requests)
  const stays = results.map(({ id }) => {
    const isFirst = known.has(id) && !seen.has(id)
    seen.add(id)
    return isFirst
  })
  const countOf = (is: (at: number) => boolean): number => results.filter((_, at) => is(at)).length
  assert.equal(settled.requests, requests.length, `seed ${seed}`)
  assert.equal(settled.missing, requests.filter((id) => !seen.has(id)).length)
  assert.equal(
    settled.unknown,
    countOf((at) => !known.has(results[at]?.id ?? '')),
  )
  assert.equal(
    settled.duplicates,
    countOf((at) => known.has(results[at]?.id ?? '') && !stays[at]),
  )
  for (const outcome of outcomes) {
    assert.equal(
      settled.counts[outcome],
      countOf((at) => stays[at] === true && results[at]?.outcome === outcome),
    )
    assert.deepEqual(
      [...settled.kept([outcome])],
      stays.filter((_, at) => results[at]?.outcome === outcome),
    )
  }
  for (const [index, id] of requests.entries()) assert.equal(settled.isMissing(index), !seen.has(id))
  reconciler.close()
  assert.deepEqual(desk.leftOver(), [])
  desk.remove()
})
