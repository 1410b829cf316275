import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspectAnswer, oneLine } from './answer.ts'

const answer = (status: number, body: string | Buffer, headers: Record<string, string> = {}) =>
  inspectAnswer({ status, headers, body: Buffer.from(body), firstByteAt: 0 })

test('usage is read in both spellings, and unknown is not zero', () => {
  const chat = answer(
    200,
    '{"usage":{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}}',
  )
  assert.deepEqual(chat.usage, { promptTokens: 7, cachedTokens: 2, completionTokens: 3, reasoningTokens: 0 })
  const responses = answer(
    200,
    '{"usage":{"input_tokens":7,"output_tokens":3,"output_tokens_details":{"reasoning_tokens":1}}}',
  )
  assert.deepEqual(responses.usage, {
    promptTokens: 7,
    cachedTokens: 0,
    completionTokens: 3,
    reasoningTokens: 1,
  })
  for (const body of [
    '{}',
    '{"usage":null}',
    '{"usage":{"prompt_tokens":-1}}',
    '{"usage":{"prompt_tokens":"7"}}',
  ]) {
    assert.equal(answer(200, body).usage, null, body)
  }
})

test('only one JSON object in valid UTF-8 is an answer', () => {
  assert.equal(answer(200, '{"a":"ü"}').isJsonObject, true)
  for (const body of ['', '[]', '"a"', '{"a":1', '{} {}', '<html>', 'null']) {
    assert.equal(answer(200, body).isJsonObject, false, body)
  }
  assert.equal(answer(200, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])).isJsonObject, false)
})

test('the code and the message of an error are found, whatever its shape', () => {
  const nested = answer(429, '{"error":{"message":"schön voll","type":"insufficient_quota","code":null}}')
  assert.deepEqual(nested.errorCodes, ['insufficient_quota'])
  assert.equal(nested.errorMessage, 'schön voll')
  const flat = answer(400, '{"object":"error","message":"too long","type":"BadRequestError","code":400}')
  assert.deepEqual([flat.errorCodes, flat.errorMessage], [['BadRequestError'], 'too long'])
  assert.equal(answer(200, '{"error":{"message":"part of a good answer"}}').errorMessage, null)
})

test('line breaks between tokens go, and nothing else', () => {
  const pretty = JSON.stringify({ text: 'two\nlines\r\n', list: [1, 2] }, null, 2)
  const line = oneLine(Buffer.from(pretty)).toString()
  assert.equal(line.includes('\n'), false)
  assert.deepEqual(JSON.parse(line), JSON.parse(pretty))
  const plain = Buffer.from('{"a":1}')
  assert.equal(oneLine(plain), plain)
})

test('__proto__ in an answer reaches no prototype', () => {
  answer(200, '{"__proto__":{"polluted":true},"usage":{"__proto__":{"prompt_tokens":1}}}')
  assert.equal(({} as Record<string, unknown>).polluted, undefined)
})
