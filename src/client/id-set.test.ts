import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIdSet } from './id-set.ts'

test('an id is new once, among a hundred thousand that differ little', () => {
  const set = createIdSet()
  const count = 100_000
  const ids = (): Iterable<string> =>
    (function* () {
      for (let number = 0; number < count; number += 1) yield `request-${number}`
      for (let number = 0; number < count; number += 1) yield number.toString(2).padStart(20, '0')
    })()
  for (const id of ids()) assert.equal(set.add(id), true, id)
  assert.equal(set.size, 2 * count)
  for (const id of ids()) assert.ok(!set.add(id) && set.has(id), id)
  assert.equal(set.size, 2 * count)
  for (const absent of ['', 'request-100000', 'request-', '\u{1f600}']) assert.equal(set.has(absent), false)
  assert.ok(set.add('') && set.has(''))
})
