import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHandClock } from '../../test/kit/hand-clock.ts'
import { OUTCOME_LOOKUP_MS, OUTCOME_LOOKUPS_MAX } from '../domain/limits.ts'
import { RefusedError, TroubleError } from '../lib/errors.ts'
import { createOrFind, OutcomeUnknownError } from './commit-outcome.ts'

const lost = new TroubleError('disk_failed', 'the answer of the commit was lost')
const failCommit = (): Promise<string> => Promise.reject(lost)
/** Lets every promise that is ready run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a row that was stored although its commit failed counts as created', async () => {
  const clock = createHandClock()
  assert.equal(await createOrFind('row', { create: failCommit, find: async () => 'row', clock }), 'row')
})

test('a row that is not there was not created: the failure of its commit is told', async () => {
  const clock = createHandClock()
  await assert.rejects(createOrFind('row', { create: failCommit, find: async () => null, clock }), lost)
})

test('a refusal is passed on without asking for the row', async () => {
  const refusal = new RefusedError('no', 'no')
  const create = (): Promise<string> => Promise.reject(refusal)
  await assert.rejects(
    createOrFind('row', { create, find: () => assert.fail(), clock: createHandClock() }),
    refusal,
  )
})

test('a row that cannot be asked for is asked for again, and found once the store answers', async () => {
  const clock = createHandClock()
  let lookups = 0
  const find = async (): Promise<string> => {
    lookups += 1
    if (lookups < OUTCOME_LOOKUPS_MAX) throw lost
    return 'row'
  }
  const created = createOrFind('row', { create: failCommit, find, clock })
  for (let lookup = 1; lookup < OUTCOME_LOOKUPS_MAX; lookup += 1) {
    await turn()
    clock.advance(OUTCOME_LOOKUP_MS)
  }
  assert.equal(await created, 'row')
})

test('an outcome that cannot be found out is told as just that, after a bounded number of questions', async () => {
  const clock = createHandClock()
  let lookups = 0
  const find = (): Promise<string> => {
    lookups += 1
    return Promise.reject(lost)
  }
  const rejected = assert.rejects(
    createOrFind('row', { create: failCommit, find, clock }),
    OutcomeUnknownError,
  )
  for (let lookup = 1; lookup < OUTCOME_LOOKUPS_MAX; lookup += 1) {
    await turn()
    clock.advance(OUTCOME_LOOKUP_MS)
  }
  await rejected
  assert.equal(lookups, OUTCOME_LOOKUPS_MAX)
  assert.deepEqual(clock.waiting(), [])
})
