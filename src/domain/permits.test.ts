import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePermits, newPermits, noteBusy, noteSuccess } from './permits.ts'

test('a busy answer cuts once per burst and holds until its time', () => {
  const permits = newPermits(64)
  permits.inFlight = 10
  assert.equal(freePermits(permits, 0), 54)
  noteBusy(permits, 1_000, 500)
  noteBusy(permits, 1_001, 200)
  assert.equal(permits.allowed, 44)
  assert.equal(freePermits(permits, 1_499), 0)
  assert.equal(freePermits(permits, 1_500), 34)
  noteBusy(permits, 2_500, 0)
  assert.equal(permits.allowed, 30)
})

test('successes give the limit back, with each full round, and never more than the limit', () => {
  const permits = newPermits(4)
  noteBusy(permits, 0, 0)
  assert.equal(permits.allowed, 2)
  for (let count = 0; count < 2; count += 1) noteSuccess(permits)
  assert.equal(permits.allowed, 3)
  for (let count = 0; count < 100; count += 1) noteSuccess(permits)
  assert.equal(permits.allowed, 4)
})

test('there is always one permit left to find out whether the engine is back', () => {
  const permits = newPermits(1)
  for (let count = 0; count < 10; count += 1) noteBusy(permits, count * 10_000, 0)
  assert.equal(freePermits(permits, 1_000_000), 1)
})
