import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHandClock } from '../../test/kit/hand-clock.ts'
import { watchWallClock } from './wall-clock-watch.ts'

test('a jump of the wall clock is told once, with how far it is away, and so is the way back', () => {
  const hand = createHandClock()
  let driftMs = 0
  const told: number[] = []
  const clock = { ...hand, wallClockDriftMs: () => driftMs }
  const end = watchWallClock(clock, (ms) => told.push(ms))
  hand.advance(60_000)
  assert.deepEqual(told, [], 'no jump, no word')
  driftMs = 3_600_000
  hand.advance(60_000)
  assert.deepEqual(told, [3_600_000])
  driftMs = 4_000
  hand.advance(10_000)
  assert.deepEqual(told, [3_600_000, 4_000])
  end()
  assert.deepEqual(hand.waiting(), [])
})
