import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemRandom } from '../lib/random.ts'
import { base32, lineHash, newId } from './ids.ts'

test('ids made later sort later, whatever their random part', () => {
  let last = ''
  for (let at = 1_700_000_000_000; at < 1_700_000_000_000 + 2_000_000; at += 1_997) {
    const id = newId('batch_', at, systemRandom)
    assert.match(id, /^batch_[a-z2-7]{26}$/)
    assert.ok(id > last)
    last = id
  }
})

test('a line keeps its hash for ever and shares it with no other', () => {
  assert.equal(lineHash('batch_a', 7), lineHash('batch_a', 7))
  assert.match(lineHash('batch_a', 7), /^[0-9a-f]{32}$/)
  const hashes = new Set(Array.from({ length: 1_000 }, (_, lineIndex) => lineHash('batch_a', lineIndex)))
  assert.equal(hashes.size, 1_000)
  assert.notEqual(lineHash('batch_a', 11), lineHash('batch_a1', 1))
})

test('base32 keeps the order of the bytes', () => {
  assert.equal(base32(Buffer.alloc(5)), '22222222')
  assert.equal(base32(Buffer.alloc(5, 255)), 'zzzzzzzz')
  assert.equal(base32(Buffer.alloc(0)), '')
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 5, maxLength: 5 }),
      fc.uint8Array({ minLength: 5, maxLength: 5 }),
      (a, b) => {
        return (
          Math.sign(Buffer.compare(a, b)) === (base32(a) < base32(b) ? -1 : base32(a) > base32(b) ? 1 : 0)
        )
      },
    ),
  )
})
