import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  exceeds,
  isWorkLimit,
  limitOf,
  noLimits,
  type Refusal,
  tightened,
  usualLimits,
} from './service-limits.ts'

const facts = { lines: 60_000, bytes: 300_000_000, models: 2 }

test('the limits of OpenAI are known beforehand, those of others are not', () => {
  const openai = usualLimits('https://api.openai.com/v1')
  assert.deepEqual(openai, { linesMax: 50_000, bytesMax: 200_000_000, isByModel: true })
  assert.ok(exceeds({ lines: 50_001, bytes: 1, models: 1 }, openai))
  assert.ok(exceeds({ lines: 1, bytes: 1, models: 2 }, openai))
  assert.ok(!exceeds({ lines: 50_000, bytes: 200_000_000, models: 1 }, openai))
  for (const url of ['http://localhost:8080/v1', 'upstream http://host/v1', ''])
    assert.ok(!exceeds(facts, usualLimits(url)), url)
})

const refusals: readonly { refusal: Partial<Refusal>; kind: string | null }[] = [
  { refusal: { code: 'mismatched_model' }, kind: 'models' },
  { refusal: { message: 'The input file has more than 50000 requests.' }, kind: 'lines' },
  { refusal: { message: 'The batch exceeds the maximum of 10,000 lines.' }, kind: 'lines' },
  { refusal: { message: 'Too many requests', status: 429 }, kind: null },
  { refusal: { status: 413 }, kind: 'bytes' },
  { refusal: { message: 'File is too large.', status: 400 }, kind: 'bytes' },
  { refusal: { message: 'The file exceeds 512 MB.', status: 400 }, kind: 'bytes' },
  { refusal: { message: 'The model does not exist.', status: 404 }, kind: null },
  { refusal: { code: 'token_limit_exceeded', message: 'Enqueued token limit reached' }, kind: null },
  {
    refusal: { code: 'invalid_json_line', message: 'This line is not parseable as valid JSON.' },
    kind: null,
  },
]

for (const { refusal, kind } of refusals) {
  const whole: Refusal = { status: null, code: null, message: '', ...refusal }
  test(`${JSON.stringify(refusal)} is about ${kind ?? 'something that cutting does not mend'}`, () => {
    assert.equal(limitOf(whole), kind)
    assert.equal(isWorkLimit(whole), whole.code === 'token_limit_exceeded')
  })
}

test('tightened limits are what the service says, and less than what it refused in any case', () => {
  const tight = (kind: 'lines' | 'bytes' | 'models', message: string, of = facts) =>
    tightened(noLimits, { kind, refusal: { status: null, code: null, message }, facts: of })
  assert.equal(tight('lines', 'more than 10,000 requests').linesMax, 10_000)
  assert.equal(tight('lines', 'too many lines').linesMax, 50_000)
  assert.equal(tight('lines', 'too many lines', { ...facts, lines: 9 }).linesMax, 4)
  assert.equal(tight('lines', 'you sent 60000 requests').linesMax, 30_000)
  assert.equal(tight('bytes', 'too large').bytesMax, 200_000_000)
  assert.equal(tight('bytes', 'too large', { ...facts, bytes: 100 }).bytesMax, 50)
  assert.ok(tight('models', 'single model').isByModel)
})
