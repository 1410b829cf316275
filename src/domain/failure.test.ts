import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { failureOf, GROUP_ID_PATTERN, groupIdOf, groupKeyOf, normalMessage } from './failure.ts'

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
  const prompt = (words: string): string => `The prompt "${words.repeat(100)}" is too long`
  assert.equal(normalMessage(prompt('once upon a time ')), normalMessage(prompt('an other beginning ')))
  assert.notEqual(normalMessage('content filtered'), normalMessage('context too long'))
})

test('the failure of an error line is named', () => {
  const unanswered = {
    id: '1',
    custom_id: 'a',
    response: null,
    error: { code: 'batch_expired', message: 'Too late.' },
  }
  assert.deepEqual(failureOf(JSON.stringify(unanswered)), {
    status: null,
    code: 'batch_expired',
    message: 'Too late.',
  })
  const refused = {
    response: {
      status_code: 400,
      body: { error: { code: 'content_filter', message: 'Filtered.', type: 'x' } },
    },
    error: null,
  }
  assert.deepEqual(failureOf(JSON.stringify(refused)), {
    status: 400,
    code: 'content_filter',
    message: 'Filtered.',
  })
  const bare = { response: { status_code: 502, body: 'Bad gateway' }, error: null }
  assert.deepEqual(failureOf(JSON.stringify(bare)), {
    status: 502,
    code: null,
    message: 'Bad gateway',
  })
  const detail = { response: { status_code: 422, body: { detail: [{ loc: ['a'] }] } }, error: null }
  assert.deepEqual(failureOf(JSON.stringify(detail)), {
    status: 422,
    code: null,
    message: '[{"loc":["a"]}]',
  })
  for (const line of ['', 'not json', '[]', 'null', '{}']) assert.equal(failureOf(line), null)
})

test('any line is read without harm', () => {
  fc.assert(
    fc.property(fc.json(), (line) => {
      const failure = failureOf(line)
      if (failure !== null) assert.match(groupIdOf(groupKeyOf(failure)), GROUP_ID_PATTERN)
    }),
  )
})

test('a group keeps its id for ever, since people write it down, and tells status, code and message apart', () => {
  const failure = { status: 429, code: 'rate_limit', message: 'Limit 20 reached for req_8f3k2z.' }
  const id = groupIdOf(groupKeyOf(failure))
  assert.equal(id, 'f0f2f8f421')
  assert.equal(groupIdOf(groupKeyOf({ ...failure, message: 'Limit 7 reached for req_00aa11.' })), id)
  for (const other of [{ status: 400 }, { code: null }, { message: 'Limit reached' }])
    assert.notEqual(groupIdOf(groupKeyOf({ ...failure, ...other })), id)
})
