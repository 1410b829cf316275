import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FINDINGS_KEPT_MAX, JSON_DEPTH_MAX, MODELS_PER_FILE_MAX } from '../domain/limits.ts'
import { inspectBytes, requestLine } from './inspect-bytes.ts'

type Case = {
  name: string
  input: string | Buffer
  /** Expected findings as [line, code, param]. */
  findings: [number | null, string, string | null][]
  message?: RegExp
}

const good = requestLine()
const chat = '/v1/chat/completions'
const without = (key: string): string => requestLine({ [key]: undefined })
const withId = (id: unknown): string => requestLine({ custom_id: id })
const bom = Buffer.from([0xef, 0xbb, 0xbf])

const cases: Case[] = [
  { name: 'a good line', input: good, findings: [] },
  { name: 'a good line with its newline', input: `${good}\n`, findings: [] },
  { name: 'blank lines between', input: `\n \t\n${good}\n\r\n\n`, findings: [] },
  { name: 'no bytes', input: '', findings: [[null, 'empty_file', null]], message: /at least one request/ },
  { name: 'only blank lines', input: '\n \r\n\n', findings: [[null, 'empty_file', null]] },
  { name: 'no JSON', input: `${good}\n\nnope\n`, findings: [[3, 'invalid_json_line', null]] },
  { name: 'two objects in a line', input: `${good}${good}`, findings: [[1, 'invalid_json_line', null]] },
  { name: 'a cut line', input: good.slice(0, -1), findings: [[1, 'invalid_json_line', null]] },
  { name: 'an array', input: '[]', findings: [[1, 'invalid_json_line', null]], message: /not an object/ },
  { name: 'a number', input: '1', findings: [[1, 'invalid_json_line', null]] },
  { name: 'null', input: 'null', findings: [[1, 'invalid_json_line', null]] },
  {
    name: 'no custom_id',
    input: without('custom_id'),
    findings: [[1, 'missing_required_parameter', 'custom_id']],
  },
  { name: 'no method', input: without('method'), findings: [[1, 'missing_required_parameter', 'method']] },
  { name: 'no url', input: without('url'), findings: [[1, 'missing_required_parameter', 'url']] },
  {
    name: 'no body',
    input: without('body'),
    findings: [[1, 'missing_required_parameter', 'body']],
    message: /^Missing required parameter: 'body'\.$/,
  },
  {
    name: 'an empty object',
    input: '{}',
    findings: ['custom_id', 'method', 'url', 'body'].map((key) => [1, 'missing_required_parameter', key]),
  },
  {
    name: 'a number as custom_id',
    input: withId(7),
    findings: [[1, 'invalid_type', 'custom_id']],
    message: /expected a string, but got an integer instead/,
  },
  { name: 'null as custom_id', input: withId(null), findings: [[1, 'invalid_type', 'custom_id']] },
  { name: 'an empty custom_id', input: withId(''), findings: [[1, 'empty_string', 'custom_id']] },
  { name: 'the longest custom_id', input: withId('é'.repeat(2048)), findings: [] },
  {
    name: 'a custom_id that is too long',
    input: withId(`é${'é'.repeat(2048)}`),
    findings: [[1, 'string_above_max_length', 'custom_id']],
    message: /at most 4096 bytes, but got 4098 bytes/,
  },
  {
    name: 'another method',
    input: requestLine({ method: 'GET' }),
    findings: [[1, 'invalid_value', 'method']],
    message: /'GET'.*'POST'/,
  },
  {
    name: 'a method that is no string',
    input: requestLine({ method: [] }),
    findings: [[1, 'invalid_type', 'method']],
  },
  {
    name: 'an unknown url',
    input: requestLine({ url: '/v1/x' }),
    findings: [[1, 'invalid_url', 'url']],
    message: /'\/v1\/x'/,
  },
  { name: 'a url that is no string', input: requestLine({ url: 1 }), findings: [[1, 'invalid_type', 'url']] },
  {
    name: 'mixed urls',
    input: [good, requestLine({ custom_id: 'b', url: '/v1/embeddings' }, { input: 'x' }), withId('c')].join(
      '\n',
    ),
    findings: [[2, 'invalid_url', 'url']],
    message: /does not match the batch endpoint/,
  },
  { name: 'a body that is text', input: requestLine({ body: 'x' }), findings: [[1, 'invalid_type', 'body']] },
  {
    name: 'a body that is null',
    input: requestLine({ body: null }),
    findings: [[1, 'invalid_type', 'body']],
  },
  {
    name: 'no model',
    input: requestLine({}, { model: undefined }),
    findings: [[1, 'invalid_request', 'body.model']],
    message: /^Model parameter is required\.$/,
  },
  {
    name: 'an empty model',
    input: requestLine({}, { model: '' }),
    findings: [[1, 'invalid_request', 'body.model']],
  },
  {
    name: 'a model that is no string',
    input: requestLine({}, { model: 1 }),
    findings: [[1, 'invalid_type', 'body.model']],
  },
  {
    name: 'a model of a thousand letters',
    input: requestLine({}, { model: 'm'.repeat(1000) }),
    findings: [[1, 'string_above_max_length', 'body.model']],
  },
  {
    name: 'no messages',
    input: requestLine({}, { messages: undefined }),
    findings: [[1, 'invalid_request', 'body.messages']],
    message: /^Messages parameter is required\.$/,
  },
  {
    name: 'messages as text',
    input: requestLine({}, { messages: 'x' }),
    findings: [[1, 'invalid_type', 'body.messages']],
  },
  {
    name: 'empty messages',
    input: requestLine({}, { messages: [] }),
    findings: [[1, 'empty_array', 'body.messages']],
  },
  {
    name: 'stream',
    input: requestLine({}, { stream: true }),
    findings: [[1, 'streaming_unsupported', 'body.stream']],
    message: /^Chat Completions: Streaming is not supported in the Batch API\.$/,
  },
  { name: 'stream: false', input: requestLine({}, { stream: false }), findings: [] },
  {
    name: 'a custom_id twice',
    input: [good, withId('b'), good, good].join('\n'),
    findings: [
      [3, 'duplicate_custom_id', 'custom_id'],
      [4, 'duplicate_custom_id', 'custom_id'],
    ],
    message: /'a' for this request is a duplicate of another request.*Line 1 has it first/,
  },
  {
    name: 'a custom_id that is the same only when its escapes are read',
    input: `${withId('é')}\n${withId('b')}\n${withId('é').replace('é', '\\u00e9')}`,
    findings: [[3, 'duplicate_custom_id', 'custom_id']],
  },
  {
    name: 'custom_ids whose bytes look alike when read as Latin-1',
    input: `${withId('é')}\n${withId('Ã©').replace('Ã©', '\\u00c3\\u00a9')}`,
    findings: [],
  },
  {
    name: 'bytes that are no UTF-8',
    input: Buffer.concat([Buffer.from(`${good}\n`), Buffer.from(withId('b?')).fill(0xc3, 15, 16)]),
    findings: [[2, 'invalid_utf8', null]],
  },
  {
    name: 'a UTF-8 byte order mark',
    input: Buffer.concat([bom, Buffer.from(good)]),
    findings: [[1, 'byte_order_mark', null]],
    message: /UTF-8 byte order mark/,
  },
  {
    name: 'a UTF-16 file',
    input: Buffer.from(`\ufeff${good}`, 'utf16le'),
    findings: [
      [1, 'byte_order_mark', null],
      [1, 'invalid_json_line', null],
    ],
    message: /UTF-16/,
  },
  {
    name: 'everything wrong at once, in the order of the lines',
    input: ['x', good, requestLine({ method: 'PUT' }, { stream: true }), '{"custom_id":1}'].join('\r\n'),
    findings: [
      [1, 'invalid_json_line', null],
      [3, 'invalid_value', 'method'],
      [3, 'streaming_unsupported', 'body.stream'],
      [3, 'duplicate_custom_id', 'custom_id'],
      [4, 'invalid_type', 'custom_id'],
      [4, 'missing_required_parameter', 'method'],
      [4, 'missing_required_parameter', 'url'],
      [4, 'missing_required_parameter', 'body'],
    ],
  },
]

for (const each of cases) {
  test(`${each.name}: ${each.findings.map((finding) => finding[1]).join(', ') || 'no finding'}`, () => {
    const inspected = inspectBytes(each.input)
    const found = inspected.findings.map(({ lineNumber, code, param }) => [lineNumber, code, param])
    assert.deepEqual(found, each.findings)
    assert.equal(inspected.findingsTotal, each.findings.length)
    if (each.message !== undefined) {
      assert.ok(
        inspected.findings.some((finding) => each.message?.test(finding.message)),
        'message',
      )
    }
  })
}

const prompts: [string, Record<string, unknown>, string[]][] = [
  ['/v1/embeddings', { input: ['a', 'b'] }, []],
  ['/v1/embeddings', { input: 'a' }, []],
  ['/v1/embeddings', {}, ['body.input']],
  ['/v1/moderations', { input: 1 }, ['body.input']],
  ['/v1/moderations', { input: [] }, ['body.input']],
  ['/v1/responses', { input: [{ role: 'user', content: 'x' }] }, []],
  ['/v1/responses', { prompt: { id: 'p' } }, []],
  ['/v1/responses', {}, ['body.input']],
  ['/v1/completions', { prompt: 'x' }, []],
  ['/v1/completions', { input: 'x' }, ['body.prompt']],
  [chat, { input: 'x' }, ['body.messages']],
]

for (const [url, body, params] of prompts) {
  test(`${url} with ${JSON.stringify(body)}: ${params.join() || 'no finding'}`, () => {
    const line = JSON.stringify({ custom_id: 'a', method: 'POST', url, body: { model: 'm', ...body } })
    const inspected = inspectBytes(line)
    assert.deepEqual(
      inspected.findings.map((finding) => finding.param),
      params,
    )
    assert.deepEqual(inspected.endpoints, [url])
  })
}

test('a line at the limit passes, one byte more does not, with any line end', () => {
  const lineBytesMax = Buffer.byteLength(good)
  for (const end of ['', '\n', '\r\n']) {
    assert.equal(inspectBytes(good + end, { lineBytesMax }).findingsTotal, 0)
    const over = inspectBytes(`${withId('bb')}${end}${end === '' ? '' : withId('c')}`, { lineBytesMax })
    assert.deepEqual(
      over.findings.map(({ lineNumber, code }) => [lineNumber, code]),
      [[1, 'line_too_long']],
    )
    assert.match(
      over.findings[0]?.message ?? '',
      new RegExp(`has ${lineBytesMax + 1} bytes; .* ${lineBytesMax} bytes`),
    )
  }
})

test('a line far over the limit is skipped and the lines behind it keep their places', () => {
  const long = requestLine({}, { messages: [{ content: 'x'.repeat(3_000_000) }] })
  const text = `${good}\n${long}\n${withId('b')}\n`
  for (const step of [1000, 65_536, 5_000_000]) {
    const cuts = Array.from({ length: Math.ceil(text.length / step) }, (_, place) => place * step)
    const inspected = inspectBytes(text, { cuts, lineBytesMax: 1000 })
    assert.deepEqual(
      inspected.findings.map(({ lineNumber, code, message }) => [
        lineNumber,
        code,
        message.includes(`${long.length}`),
      ]),
      [[2, 'line_too_long', true]],
    )
    assert.equal(inspected.lines, 3)
    const last = inspected.entries[2]
    assert.equal(last?.lineNumber, 3)
    assert.equal(last?.lineOffset, good.length + long.length + 2)
  }
})

test('a line of 64 MiB is taken as it is', () => {
  const lineBytesMax = 64 * 1024 * 1024
  const empty = requestLine({}, { messages: [{ content: '' }] })
  const line = empty.replace('"content":""', `"content":"${'x'.repeat(lineBytesMax - empty.length)}"`)
  const inspected = inspectBytes(`${line}\n${withId('b')}`, { lineBytesMax, cuts: [7, 40_000_000] })
  assert.equal(inspected.findingsTotal, 0)
  assert.deepEqual(
    inspected.entries.map((entry) => entry.lineBytes),
    [lineBytesMax, good.length],
  )
})

test('nesting and numbers of values that would cost too much memory are refused', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  const line = (value: string, id: string): string => `${withId(id).slice(0, -1)},"x":${value}}`
  const inputs = [
    line(nested(JSON_DEPTH_MAX - 1), 'a'),
    line(nested(JSON_DEPTH_MAX), 'b'),
    line(nested(100_000), 'c'),
    line('['.repeat(100_000), 'd'),
    line(nested(3_000_000), 'e'),
    line(`[${'0,'.repeat(4_100_000)}0]`, 'f'),
  ]
  const inspected = inspectBytes(inputs.join('\n'), { lineBytesMax: 64 * 1024 * 1024 })
  assert.deepEqual(
    inspected.findings.map(({ lineNumber, code }) => [lineNumber, code]),
    [
      [2, 'line_too_complex'],
      [3, 'line_too_complex'],
      [4, 'invalid_json_line'],
      [5, 'line_too_complex'],
      [6, 'line_too_complex'],
    ],
  )
})

test('more lines than the limit give one finding for the file, and the rest is only counted', () => {
  const text = ['a', 'b', 'c', 'c', 'd'].map(withId).join('\n')
  const inspected = inspectBytes(text, { linesMax: 2 })
  assert.deepEqual(
    inspected.findings.map(({ lineNumber, code }) => [lineNumber, code]),
    [[null, 'too_many_lines']],
  )
  assert.match(inspected.findings[0]?.message ?? '', /more than 2 requests/)
  assert.equal(inspected.lines, 5)
  assert.equal(inspected.entries.length, 2)
})

test('more models than the limit give one finding', () => {
  const lines = Array.from({ length: MODELS_PER_FILE_MAX + 3 }, (_, place) =>
    requestLine({ custom_id: `${place}` }, { model: `m${place}` }),
  )
  const inspected = inspectBytes(lines.join('\n'))
  assert.deepEqual(
    inspected.findings.map(({ lineNumber, code }) => [lineNumber, code]),
    [[MODELS_PER_FILE_MAX + 1, 'too_many_models']],
  )
  assert.equal(inspected.models.length, MODELS_PER_FILE_MAX)
})

test('findings beyond the bound are counted, and those of the first lines are kept', () => {
  const inspected = inspectBytes('x\n'.repeat(2 * FINDINGS_KEPT_MAX + 5))
  assert.equal(inspected.findingsTotal, 2 * FINDINGS_KEPT_MAX + 5)
  assert.equal(inspected.findings.length, FINDINGS_KEPT_MAX)
  assert.equal(inspected.findings.at(-1)?.lineNumber, FINDINGS_KEPT_MAX)
})

test('a model that replaces every other one makes up for a missing one', () => {
  const lines = [requestLine({}, { model: undefined }), requestLine({ custom_id: 'b' }, { model: 'x' })]
  const inspected = inspectBytes(lines.join('\n'), { modelOverride: 'new' })
  assert.equal(inspected.findingsTotal, 0)
  assert.deepEqual(
    inspected.models.map(({ model, lines }) => [model, lines]),
    [['new', 2]],
  )
})

test('sums per model count prompt text in UTF-8 bytes however it is written, and leave images out', () => {
  const escaped = (text: string): string =>
    text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const text = 'né 中文 😀'
  const parts = [
    { type: 'text', text },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(1000)}` } },
  ]
  const line = (id: string): string =>
    requestLine({ custom_id: id }, { messages: [{ content: parts }], max_tokens: 5, n: 2 })
  const mixed = line('cé').replace(text, escaped(text))
  const inspected = inspectBytes([line('a'), escaped(line('b')), mixed].join('\n'))
  assert.equal(inspected.findingsTotal, 0)
  const promptBytes = Buffer.byteLength(text)
  const [share] = inspected.models
  assert.equal(share?.lines, 3)
  assert.equal(share?.promptBytes, 3 * promptBytes)
  assert.equal(share?.outputTokensLimit, 30)
  assert.equal(share?.outputTokensLimitLines, 3)
  assert.equal(
    share?.bodyBytes,
    inspected.entries.reduce((sum, entry) => sum + entry.bodyBytes, 0),
  )
  assert.deepEqual(
    inspected.entries.map((entry) => entry.promptTokensEstimate),
    Array(3).fill(Math.round(promptBytes / 4)),
  )
})
