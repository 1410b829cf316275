import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RefusedError } from '../lib/errors.ts'
import { parse, requireMetadata } from './refusal.ts'
import {
  addUpstreamBody,
  contentQuery,
  createBatchBody,
  listBatchesQuery,
  listFilesQuery,
} from './schemas.ts'

const valid = {
  input_file_id: 'file-a',
  endpoint: '/v1/embeddings',
  completion_window: '24h',
}

function refusalOf(call: () => unknown): RefusedError {
  try {
    call()
  } catch (thrown) {
    assert.ok(thrown instanceof RefusedError, String(thrown))
    return thrown
  }
  return assert.fail('nothing was refused')
}

const ENDPOINTS_QUOTED =
  "'/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', and '/v1/moderations'"

const bodies: { given: unknown; code: string; param: string | null; message: string }[] = [
  {
    given: { ...valid, endpoint: undefined },
    code: 'missing_required_parameter',
    param: 'endpoint',
    message: "Missing required parameter: 'endpoint'.",
  },
  {
    given: { ...valid, input_file_id: undefined },
    code: 'missing_required_parameter',
    param: 'input_file_id',
    message: "Missing required parameter: 'input_file_id'.",
  },
  {
    given: { ...valid, input_file_id: 7 },
    code: 'invalid_type',
    param: 'input_file_id',
    message: "Invalid type for 'input_file_id': expected a string, but got an integer instead.",
  },
  {
    given: { ...valid, input_file_id: '' },
    code: 'empty_string',
    param: 'input_file_id',
    message:
      "Invalid 'input_file_id': empty string. Expected a string with minimum length 1, but got an empty string instead.",
  },
  {
    given: { ...valid, input_file_id: 'x'.repeat(600) },
    code: 'string_above_max_length',
    param: 'input_file_id',
    message:
      "Invalid 'input_file_id': string too long. Expected a string with maximum length 512, but got a string with length 600 instead.",
  },
  {
    given: { ...valid, endpoint: '/v1/x' },
    code: 'invalid_value',
    param: 'endpoint',
    message: `Invalid value: '/v1/x'. Supported values are: ${ENDPOINTS_QUOTED}.`,
  },
  {
    given: { ...valid, endpoint: null },
    code: 'invalid_type',
    param: 'endpoint',
    message: `Invalid type for 'endpoint': expected one of ${ENDPOINTS_QUOTED.replace(', and ', ' or ')}, but got null instead.`,
  },
  {
    given: { ...valid, colour: 'red' },
    code: 'unknown_parameter',
    param: 'colour',
    message: "Unknown parameter: 'colour'.",
  },
  {
    given: { ...valid, metadata: 'red' },
    code: 'invalid_type',
    param: 'metadata',
    message: "Invalid type for 'metadata': expected an object, but got a string instead.",
  },
  {
    given: { ...valid, output_expires_after: { anchor: 'created_at' } },
    code: 'missing_required_parameter',
    param: 'output_expires_after.seconds',
    message: "Missing required parameter: 'output_expires_after.seconds'.",
  },
  {
    given: { ...valid, output_expires_after: { anchor: 'created_at', seconds: 3_599 } },
    code: 'integer_below_min_value',
    param: 'output_expires_after.seconds',
    message:
      "Invalid 'output_expires_after.seconds': integer below minimum value. Expected a value >= 3600, but got 3599 instead.",
  },
  {
    given: { ...valid, output_expires_after: { anchor: 'created_at', seconds: '3600' } },
    code: 'invalid_type',
    param: 'output_expires_after.seconds',
    message:
      "Invalid type for 'output_expires_after.seconds': expected an integer, but got a string instead.",
  },
  {
    given: { ...valid, output_expires_after: { anchor: 'created_at', seconds: 3600.5 } },
    code: 'invalid_type',
    param: 'output_expires_after.seconds',
    message:
      "Invalid type for 'output_expires_after.seconds': expected an integer, but got a decimal instead.",
  },
  {
    given: { ...valid, output_expires_after: { anchor: 'created_at', seconds: 3600, x: 1 } },
    code: 'unknown_parameter',
    param: 'output_expires_after.x',
    message: "Unknown parameter: 'output_expires_after.x'.",
  },
  ...[undefined, null, [], 'text', 7].map((given) => ({
    given,
    code: 'invalid_request',
    param: null,
    message: 'We could not parse the body of your request: it must be a JSON object.',
  })),
]

for (const { given, code, param, message } of bodies) {
  test(`a batch made of ${JSON.stringify(given)?.slice(0, 120) ?? 'nothing'} is refused as ${code}`, () => {
    const refusal = refusalOf(() => parse(createBatchBody, given))
    assert.deepEqual(
      [refusal.status, refusal.code, refusal.param, refusal.message],
      [400, code, param, message],
    )
  })
}

test('a limit of a list is an integer within its bounds', () => {
  assert.equal(parse(listBatchesQuery, {}).limit, 20)
  assert.equal(parse(listFilesQuery, {}).limit, 10_000)
  assert.equal(parse(listBatchesQuery, { limit: '100' }).limit, 100)
  const wordings: [string | string[], string][] = [
    ['101', "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead."],
    ['0', "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead."],
    ['-5', "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got -5 instead."],
    ['many', "Invalid type for 'limit': expected an integer, but got a string instead."],
    ['', "Invalid type for 'limit': expected an integer, but got a string instead."],
    ['1e3', "Invalid type for 'limit': expected an integer, but got a string instead."],
    ['9'.repeat(40), "Invalid type for 'limit': expected an integer, but got a string instead."],
    [['1', '2'], "Invalid type for 'limit': expected an integer, but got an array instead."],
  ]
  for (const [given, message] of wordings)
    assert.equal(refusalOf(() => parse(listBatchesQuery, { limit: given })).message, message)
})

test('a place to go on from is a line number', () => {
  assert.deepEqual(parse(contentQuery, { skip: '0', offset: '7' }), { skip: 0, offset: 7 })
  assert.deepEqual(parse(contentQuery, {}), {})
  for (const skip of ['-1', 'x', '1.5'])
    assert.equal(refusalOf(() => parse(contentQuery, { skip })).param, 'skip')
})

test('metadata is held to its limits, and the refusal names the key', () => {
  assert.equal(requireMetadata(undefined), null)
  assert.equal(requireMetadata(null), null)
  assert.deepEqual(requireMetadata({ a: 'b' }), { a: 'b' })
  const full = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v']))
  const cases: [Record<string, unknown>, string, string][] = [
    [full, 'object_above_max_properties', 'metadata'],
    [{ ['k'.repeat(65)]: 'v' }, 'property_name_above_max_length', 'metadata'],
    [{ key: 'v'.repeat(513) }, 'string_above_max_length', 'metadata.key'],
    [{ tags: [] }, 'invalid_type', 'metadata.tags'],
    [{ n: 1 }, 'invalid_type', 'metadata.n'],
    [{ n: null }, 'invalid_type', 'metadata.n'],
  ]
  for (const [given, code, param] of cases) {
    const refusal = refusalOf(() => requireMetadata(given))
    assert.deepEqual([refusal.code, refusal.param], [code, param])
  }
  assert.match(
    refusalOf(() => requireMetadata(full)).message,
    /at most 16 properties, but got an object with 17 properties/,
  )
  assert.match(
    refusalOf(() => requireMetadata({ tags: [] })).message,
    /^Invalid type for 'metadata\.tags': expected a string, but got an array instead\.$/,
  )
})

test('what a caller sent is quoted short, on one line, and a key never', () => {
  const long = refusalOf(() => parse(createBatchBody, { ...valid, endpoint: `/\n${'x'.repeat(100_000)}` }))
  assert.ok(long.message.length < 400)
  assert.doesNotMatch(long.message, /\n/)
  const name = refusalOf(() => parse(createBatchBody, { ...valid, ['y'.repeat(100_000)]: 1 }))
  assert.ok(name.message.length < 200)
  for (const key of [7, ['sk-secret'], `sk-secret${'x'.repeat(20_000)}`, { 'sk-secret': 1 }]) {
    const refusal = refusalOf(() => parse(addUpstreamBody, { url: 'http://a/v1', key }))
    assert.doesNotMatch(`${refusal.message}${refusal.param}`, /sk-secret/)
  }
})
