import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RefusedError } from '../lib/errors.ts'
import { defaultWindows, requireWindow, windowMs } from './window.ts'

test('a window is a number and a unit', () => {
  assert.equal(windowMs('24h'), 86_400_000)
  assert.equal(windowMs('90m'), 5_400_000)
  assert.equal(windowMs('30s'), 30_000)
  assert.equal(windowMs('7d'), 604_800_000)
  for (const wrong of ['', '0h', '24', 'h', '24H', '1.5h', '-1h', '999999h', '24h '])
    assert.equal(windowMs(wrong), null)
})

test('a window that is not offered is refused with those that are', () => {
  assert.equal(requireWindow('1h', defaultWindows).ms, 3_600_000)
  assert.throws(
    () => requireWindow('48h', defaultWindows),
    (thrown) =>
      thrown instanceof RefusedError &&
      thrown.param === 'completion_window' &&
      thrown.message === "Invalid value: '48h'. Supported values are: '24h', and '1h'.",
  )
})
