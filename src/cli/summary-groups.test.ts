import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createFailureGroups, kindWords } from './summary-groups.ts'

test('groups hold every failure once, whatever the order', () => {
  const classes = fc.constantFrom(
    (id: number) => ({
      status: null,
      code: '429',
      message: `Rate limit for org-${id}abc: try again in ${id} ms`,
    }),
    (id: number) => ({ status: null, code: '400', message: `This model's maximum context is ${id} tokens` }),
    (id: number) => ({ status: null, code: '500', message: `upstream http://10.0.0.${id}:8000/v1 reset` }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(classes, fc.nat({ max: 9_999 })), { minLength: 1 }), (drawn) => {
      const groups = createFailureGroups()
      for (const [make, id] of drawn) groups.add(make(id))
      const list = groups.list()
      const expected = new Map<string, number>()
      for (const [make] of drawn) expected.set(make(1).code, (expected.get(make(1).code) ?? 0) + 1)
      assert.deepEqual(new Map(list.map((group) => [group.code, group.count])), expected)
      assert.equal(groups.total, drawn.length)
      assert.deepEqual(
        list.map((group) => group.count),
        list.map((group) => group.count).sort((a, b) => b - a),
      )
    }),
  )
})

test('a group names the first of its failures', () => {
  const groups = createFailureGroups()
  for (const lineNumber of [3, 5]) {
    const failure = { status: 400, code: 'bad', message: `number ${lineNumber}` }
    groups.add(failure, { lineNumber, customId: `request-${lineNumber}` })
  }
  const [group] = groups.list()
  assert.deepEqual(group?.first, { lineNumber: 3, customId: 'request-3' })
  assert.equal(group?.example, 'number 3')
  assert.deepEqual(
    [kindWords({ status: 400, code: 'bad' }), kindWords({ status: 502, code: null })],
    ['400 bad', '502'],
  )
})

test('unlike failures without end cost no memory', () => {
  const groups = createFailureGroups()
  for (let number = 0; number < 2_000; number += 1)
    groups.add({ status: null, code: `code-${number}`, message: 'x'.repeat(10_000) })
  assert.equal(groups.total, 2_000)
  assert.equal(groups.list().length, 500)
})
