import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createFailureGroups, failureOf, normalMessage } from './summary-groups.ts'

test('messages that differ only in ids, numbers, quotes and addresses are one', () => {
  const same: [string, string][] = [
    ['Rate limit reached: 20 of 20 per min.', 'Rate limit reached: 7 of 12 per min.'],
    ['Model "gpt-x" is unknown.', 'Model "llama" is unknown.'],
    ['POST http://a:1/v1 failed', 'POST https://b.example/v1/chat?x=1 failed'],
    ['request req_8f3k2z was refused', 'request req_00aa11 was refused'],
    ['trace 0b8f5c1e-3a90-4d4e-9d4a-2a4a0d6a1f11', 'trace 11111111-3a90-4d4e-9d4a-000000000000'],
    ["can't read 'a'", "can't read 'b c'"],
  ]
  for (const [first, second] of same) assert.equal(normalMessage(first), normalMessage(second))
  assert.notEqual(normalMessage('content filtered'), normalMessage('context too long'))
})

test('groups hold every failure once, whatever the order', () => {
  const classes = fc.constantFrom(
    (id: number) => ({ code: '429', message: `Rate limit for org-${id}abc: try again in ${id} ms` }),
    (id: number) => ({ code: '400', message: `This model's maximum context is ${id} tokens` }),
    (id: number) => ({ code: '500', message: `upstream http://10.0.0.${id}:8000/v1 reset` }),
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

test('unlike failures without end cost no memory', () => {
  const groups = createFailureGroups()
  for (let number = 0; number < 2_000; number += 1)
    groups.add({ code: `code-${number}`, message: 'x'.repeat(10_000) })
  assert.equal(groups.total, 2_000)
  assert.equal(groups.list().length, 500)
})

test('the failure of an error line is named', () => {
  const unanswered = {
    id: '1',
    custom_id: 'a',
    response: null,
    error: { code: 'batch_expired', message: 'Too late.' },
  }
  assert.deepEqual(failureOf(JSON.stringify(unanswered)), { code: 'batch_expired', message: 'Too late.' })
  const refused = {
    response: {
      status_code: 400,
      body: { error: { code: 'content_filter', message: 'Filtered.', type: 'x' } },
    },
    error: null,
  }
  assert.deepEqual(failureOf(JSON.stringify(refused)), { code: '400 content_filter', message: 'Filtered.' })
  const bare = { response: { status_code: 502, body: 'Bad gateway' }, error: null }
  assert.deepEqual(failureOf(JSON.stringify(bare)), { code: '502', message: 'Bad gateway' })
  const detail = { response: { status_code: 422, body: { detail: [{ loc: ['a'] }] } }, error: null }
  assert.deepEqual(failureOf(JSON.stringify(detail)), { code: '422', message: '[{"loc":["a"]}]' })
  for (const line of ['', 'not json', '[]', 'null', '{}']) assert.equal(failureOf(line), null)
})

test('any line is read without harm', () => {
  fc.assert(
    fc.property(fc.json(), (line) => {
      const failure = failureOf(line)
      if (failure !== null) createFailureGroups().add(failure)
    }),
  )
})
