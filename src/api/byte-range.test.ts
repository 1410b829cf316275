import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTagAmong, readRange } from './byte-range.ts'

const cases: [string | undefined, number, ReturnType<typeof readRange>][] = [
  ['bytes=0-0', 10, { kind: 'part', start: 0, end: 1 }],
  ['bytes=0-', 10, { kind: 'part', start: 0, end: 10 }],
  ['bytes=3-5', 10, { kind: 'part', start: 3, end: 6 }],
  ['bytes=9-9', 10, { kind: 'part', start: 9, end: 10 }],
  ['bytes=3-99', 10, { kind: 'part', start: 3, end: 10 }],
  ['bytes=-4', 10, { kind: 'part', start: 6, end: 10 }],
  ['bytes=-99', 10, { kind: 'part', start: 0, end: 10 }],
  ['bytes=-0', 10, { kind: 'unsatisfiable' }],
  ['bytes=10-', 10, { kind: 'unsatisfiable' }],
  ['bytes=99-100', 10, { kind: 'unsatisfiable' }],
  ['bytes=0-', 0, { kind: 'unsatisfiable' }],
  ['bytes=-5', 0, { kind: 'unsatisfiable' }],
  ['bytes=5-3', 10, { kind: 'whole' }],
  ['bytes=-', 10, { kind: 'whole' }],
  ['bytes=0-1,3-4', 10, { kind: 'whole' }],
  ['lines=0-1', 10, { kind: 'whole' }],
  ['bytes=a-b', 10, { kind: 'whole' }],
  ['bytes = 0-1', 10, { kind: 'whole' }],
  [`bytes=${'9'.repeat(30)}-`, 10, { kind: 'whole' }],
  [undefined, 10, { kind: 'whole' }],
  ['', 10, { kind: 'whole' }],
]

for (const [header, bytes, answer] of cases) {
  test(`the range ${header ?? 'nobody asked for'} of ${bytes} bytes is ${JSON.stringify(answer)}`, () => {
    assert.deepEqual(readRange(header, bytes), answer)
  })
}

test('whatever is asked for, a part is not empty and lies within the file', () => {
  const number = fc.option(fc.nat({ max: 40 }), { nil: null })
  fc.assert(
    fc.property(number, number, fc.nat({ max: 20 }), (first, last, bytes) => {
      const answer = readRange(`bytes=${first ?? ''}-${last ?? ''}`, bytes)
      if (answer.kind !== 'part') return
      assert.ok(answer.start >= 0 && answer.start < answer.end && answer.end <= bytes)
    }),
  )
})

test('a tag is found among several, weak or strong', () => {
  assert.equal(isTagAmong(undefined, '"a"'), false)
  assert.equal(isTagAmong('"a"', '"a"'), true)
  assert.equal(isTagAmong('"b", W/"a"', '"a"'), true)
  assert.equal(isTagAmong('*', '"a"'), true)
  assert.equal(isTagAmong('"b"', '"a"'), false)
})
