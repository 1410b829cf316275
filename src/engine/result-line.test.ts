import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspectAnswer } from './answer.ts'
import { answeredLine, closingErrors, type LineParts, unansweredLine } from './result-line.ts'

const line = { hash: 'a'.repeat(32), customId: Buffer.from('"r-\\u00fc 1"') }
const joined = (parts: LineParts): string =>
  parts.map((part) => (typeof part === 'string' ? part : Buffer.from(part).toString())).join('')
const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  inspectAnswer({ status, headers, body: Buffer.from(body), firstByteAt: 0 })

test('the bytes of the answer and of the custom id stand in the line as they came', () => {
  const body = '{"n":12345678901234567890123,"k":1.10}'
  const text = joined(answeredLine(line, answer(200, body, { 'x-request-id': 'abc' }), 'req_1'))
  assert.equal(
    text,
    `{"id":"batch_req_${line.hash}","custom_id":"r-\\u00fc 1","response":{"status_code":200,"request_id":"abc","body":${body}},"error":null}`,
  )
})

test('what is not a JSON object becomes the message of one', () => {
  const text = joined(answeredLine(line, answer(502, '<html>"bad"\ngateway</html>'), 'req_1'))
  const parsed = JSON.parse(text)
  assert.equal(parsed.response.status_code, 502)
  assert.equal(parsed.response.body.error.message, '<html>"bad"\ngateway</html>')
  assert.equal(text.includes('\n'), false)
  assert.equal(JSON.parse(joined(answeredLine(line, answer(500, ''), 'req_1'))).response.request_id, 'req_1')
})

test('a request id that could break the line is not taken over', () => {
  const text = joined(answeredLine(line, answer(200, '{}', { 'x-request-id': 'a "quoted" id' }), 'req_1'))
  assert.equal(JSON.parse(text).response.request_id, 'req_1')
})

test('a line without an answer has a code and a message', () => {
  const parsed = JSON.parse(joined(unansweredLine(line, closingErrors.expired)))
  assert.deepEqual([parsed.response, parsed.error.code, parsed.custom_id], [null, 'batch_expired', 'r-ü 1'])
})
