import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { WireBatch } from '../contract/wire.ts'
import {
  exitCodeOf,
  firstThatApplies,
  isEndedStatus,
  parseAllowance,
  standingOf,
  stateWords,
} from './summary-outcome.ts'

function batch(status: string, total = 0, completed = 0, failed = 0): WireBatch {
  return { status, request_counts: { total, completed, failed } } as WireBatch
}

test('a batch is only plainly completed when every request succeeded', () => {
  assert.equal(stateWords(batch('completed', 100, 100)), 'completed')
  assert.equal(stateWords(batch('completed', 1_000, 958, 42)), 'completed, 42 failed')
  assert.equal(stateWords(batch('completed', 7, 0, 7)), 'completed, all 7 failed')
  assert.equal(stateWords(batch('completed', 100, 97, 1)), 'completed, 1 failed, 2 missing')
  assert.equal(stateWords(batch('expired', 100, 60, 1)), 'expired, 1 failed, 39 not run')
  assert.equal(stateWords(batch('in_progress', 100, 60)), 'in_progress')
  assert.equal(stateWords({ status: 'validating' } as WireBatch), 'validating')
})

test('each way to end has its exit code', () => {
  const cases: [WireBatch, number][] = [
    [batch('completed', 10, 10), 0],
    [batch('completed', 10, 9, 1), 3],
    [batch('completed', 10, 9), 3],
    [batch('failed'), 7],
    [batch('expired', 10, 10), 7],
    [batch('cancelled', 10, 2), 7],
    [batch('in_progress', 10, 2), 8],
    [batch('a_new_state', 10, 10), 8],
  ]
  for (const [ended, code] of cases) assert.equal(exitCodeOf(standingOf(ended), null), code, ended.status)
})

test('allowed failures relax exit code 3, and nothing else', () => {
  const some = standingOf(batch('completed', 200, 190, 10))
  assert.equal(exitCodeOf(some, parseAllowance('10')), 0)
  assert.equal(exitCodeOf(some, parseAllowance('9')), 3)
  assert.equal(exitCodeOf(some, parseAllowance('5%')), 0)
  assert.equal(exitCodeOf(some, parseAllowance('4.9%')), 3)
  assert.equal(exitCodeOf(standingOf(batch('completed', 10, 9)), parseAllowance('100%')), 3)
  assert.equal(exitCodeOf(standingOf(batch('expired', 10, 9, 1)), parseAllowance('100%')), 7)
  for (const wrong of ['', 'some', '-1', '101%', '5 %', '1e3'])
    assert.equal(parseAllowance(wrong), null, wrong)
})

test('of several exit codes the most serious applies, whatever their order', () => {
  const order = [130, 1, 9, 7, 8, 3, 0]
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...order), { minLength: 1 }), (codes) => {
      assert.equal(
        firstThatApplies(codes),
        order.find((code) => codes.includes(code)),
      )
    }),
  )
})

test('a state that is not known goes on', () => {
  for (const status of ['completed', 'failed', 'expired', 'cancelled']) assert.ok(isEndedStatus(status))
  for (const status of ['validating', 'in_progress', 'finalizing', 'cancelling', 'paused', 'constructor'])
    assert.ok(!isEndedStatus(status))
})
