import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Line } from '../../jsonl/tools/lines.ts'
import { readResult, requestIdOf } from './result-row.ts'

function lineOf(value: unknown): Line {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return { bytes, lineBytes: bytes.byteLength, lineNumber: 1, offset: 0 }
}

const answer = {
  status_code: 200,
  request_id: 'req',
  body: { usage: { prompt_tokens: 3, completion_tokens: 4 } },
}
const own = (customId: string, response: unknown, error: unknown = null): unknown => ({
  id: 'batch_req_1',
  custom_id: customId,
  response,
  error,
})

test('a line of our server reads the same from its two ends as from all of it', () => {
  const cases: [unknown, string | null, string][] = [
    [own('ä-1', answer), 'ä-1', 'succeeded'],
    [own('with "quotes"', answer), 'with "quotes"', 'succeeded'],
    [own('x'.repeat(2_000), answer), 'x'.repeat(2_000), 'succeeded'],
    [own('r', { ...answer, status_code: 400 }), 'r', 'failed'],
    [own('r', null, { code: 'batch_expired', message: '' }), 'r', 'expired'],
    [own('r', answer, { code: 'late', message: '' }), 'r', 'failed'],
  ]
  for (const [value, customId, outcome] of cases) {
    for (const isOwn of [true, false]) {
      const row = readResult(lineOf(value), { isOwn })
      assert.deepEqual([row?.customId, row?.outcome], [customId, outcome], JSON.stringify(value))
    }
  }
  assert.deepEqual(readResult(lineOf(own('r', answer)), { isOwn: false })?.usage, { input: 3, output: 4 })
})

test('what is no result of any request is none', () => {
  for (const value of ['no JSON', '[]', '{}', { response: answer }, { custom_id: 7, response: answer }])
    assert.equal(readResult(lineOf(value), { isOwn: true }), null)
})

test('the id of a request is the one that JSON.parse finds', () => {
  const ids: [string, string | null][] = [
    ['{"custom_id": "a", "body": {"custom_id": "inner"}}', 'a'],
    ['{"body": {"x": "\\"custom_id\\""}, "custom_id": "b"}', 'b'],
    ['{"custom_id":"first","custom_id":"last"}', 'last'],
    ['{"custom_id":"\\u0061\\n"}', 'a\n'],
    ['{"custom_id":"ünï"}', 'ünï'],
    [`{"custom_id":"${'y'.repeat(1_000)}","url":""}`, 'y'.repeat(1_000)],
    ['{"body": 1}', null],
  ]
  for (const [text, id] of ids) assert.equal(requestIdOf(lineOf(text)), id, text)
})
