import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Row } from '../bench/benchmark.ts'
import { median, percentile, rowResult } from '../bench/figures.ts'

const row: Row = {
  figure: 'rate',
  means: 'rate',
  unit: '/s',
  target: { atLeast: 100 },
  floor: 'bare',
  shareAtLeast: 0.5,
}

test('a median lies between the two in the middle, and a percentile is one of the values', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(percentile([5, 1, 9], 1), 9)
  assert.equal(percentile([5, 1, 9], 0.5), 5)
  assert.ok(Number.isNaN(percentile([], 0.5)))
})

test('a row is reached when its median and its share of the floor of the same round are', () => {
  const rounds = [
    { rate: 90, bare: 100 },
    { rate: 110, bare: 200 },
    { rate: 120, bare: 200 },
  ]
  const result = rowResult(row, rounds)
  assert.deepEqual(result.value, { median: 110, min: 90, max: 120 })
  assert.equal(result.ratio, 0.6)
  assert.equal(result.isReached, true)
  assert.equal(rowResult({ ...row, target: { atLeast: 111 } }, rounds).isReached, false)
  assert.equal(rowResult({ ...row, shareAtLeast: 0.7 }, rounds).isReached, false)
  assert.equal(rowResult({ ...row, target: { atMost: 109 } }, rounds).isReached, false)
})

test('a row without a target claims nothing, and one that no round measured is an error', () => {
  const { shareAtLeast: _, ...bare } = row
  assert.equal(rowResult({ ...bare, target: null }, [{ rate: 1, bare: 1 }]).isReached, null)
  assert.throws(() => rowResult({ ...row, figure: 'absent' }, [{ rate: 1, bare: 1 }]), /absent/)
})

test('a figure that is no number reaches nothing', () => {
  assert.equal(rowResult(row, [{ rate: Number.NaN, bare: 100 }]).isReached, false)
  assert.equal(rowResult(row, [{ rate: 200, bare: Number.NaN }]).isReached, false)
})
