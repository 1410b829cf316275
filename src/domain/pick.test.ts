import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareLanes, type LaneView, pickLane, type TenantView } from './pick.ts'

const HOUR_MS = 3_600_000

const lane = (seq: number, more: Partial<LaneView> = {}): LaneView => ({
  seq,
  deadlineAt: 24 * HOUR_MS,
  linesLeft: 10,
  isReady: true,
  ...more,
})
const tenant = (inFlight: number, ...lanes: LaneView[]): TenantView<LaneView> => ({
  inFlight,
  lanes: lanes.toSorted(compareLanes),
})
const calm = { now: 0, linesPerSecond: 100 }

test('of one tenant the lane with the earliest deadline is served, whenever it arrived', () => {
  const oneHour = lane(2, { deadlineAt: HOUR_MS })
  assert.equal(pickLane([tenant(0, lane(1), oneHour)], calm), oneHour)
})

test('a lane that has nothing ready does not hold up the next one', () => {
  const next = lane(2)
  assert.equal(pickLane([tenant(0, lane(1, { isReady: false }), next)], calm), next)
  assert.equal(pickLane([tenant(0, lane(1, { isReady: false }))], calm), null)
  assert.equal(pickLane([], calm), null)
})

test('the tenant with the least in flight is served first', () => {
  const small = lane(9)
  assert.equal(pickLane([tenant(5, lane(1)), tenant(1, small)], calm), small)
})

test('a lane that would miss its deadline goes before fairness', () => {
  const late = lane(1, { deadlineAt: HOUR_MS, linesLeft: 300_000 })
  assert.equal(pickLane([tenant(50, late), tenant(0, lane(2))], calm), late)
  const later = lane(3, { deadlineAt: 2 * HOUR_MS, linesLeft: 600_000 })
  assert.equal(pickLane([tenant(50, later), tenant(90, late)], calm), late)
})

test('without a known pace nothing is critical', () => {
  const late = lane(1, { deadlineAt: 1, linesLeft: 300_000 })
  const other = lane(2)
  assert.equal(pickLane([tenant(50, late), tenant(0, other)], { now: 0, linesPerSecond: null }), other)
})
