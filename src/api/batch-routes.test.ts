import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { batchWhen } from '../../test/kit/batch-api.ts'
import { givenMaterial, skipWithout } from '../../test/kit/given-material.ts'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { formOf, formType, startTestServer, type TestServer } from '../../test/kit/running-server.ts'
import {
  createGate,
  errorReply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../../test/kit/scripted-upstream.ts'
import { readWireSchema } from '../../test/kit/wire-schema.ts'
import type {
  WireAnalytics,
  WireBatch,
  WireErrorBody,
  WireFile,
  WireList,
  WireModel,
} from '../contract/wire.ts'

const gate = createGate()
let upstream: ScriptedUpstream
let server: TestServer

before(async () => {
  upstream = await startScriptedUpstream({
    models: ['test', 'org/model:1'],
    script: (call) => {
      if (call.body.includes('please fail')) return errorReply(400, { code: 'content_filter' })
      return call.body.includes('please wait') ? { gate: gate.opened } : null
    },
  })
  server = await startTestServer({ upstreamUrl: upstream.url, timing: { cancelGraceMs: 0, drainMs: 0 } })
})

after(async () => {
  gate.open()
  await server?.remove()
  await upstream?.stop()
})

type Answer<T> = { status: number; headers: Headers; body: T }

async function call<T>(method: string, path: string, body?: unknown, headers = {}): Promise<Answer<T>> {
  const reply = await fetch(server.url + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  // The caller states the shape of the reply.
  return { status: reply.status, headers: reply.headers, body: (await reply.json()) as T }
}

async function upload(contents: readonly string[]): Promise<string> {
  const value = jsonl(contents.map((content, number) => chatLine(number, { model: 'test', content })))
  const form = formOf([
    { name: 'purpose', value: 'batch' },
    { name: 'file', value, filename: 'a.jsonl' },
  ])
  const reply = await fetch(`${server.url}/v1/files`, { method: 'POST', headers: formType, body: form })
  return ((await reply.json()) as WireFile).id
}

function wanted(inputFileId: string, more = {}): Record<string, unknown> {
  return {
    input_file_id: inputFileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    ...more,
  }
}

async function create(inputFileId: string, more = {}): Promise<WireBatch> {
  const made = await call<WireBatch>('POST', '/v1/batches', wanted(inputFileId, more))
  assert.equal(made.status, 200, JSON.stringify(made.body))
  return made.body
}

async function endedBatch(contents: readonly string[]): Promise<WireBatch> {
  const { id } = await create(await upload(contents))
  await batchWhen(server.url, id, ({ status }) => status === 'completed')
  return (await call<WireBatch>('GET', `/v1/batches/${id}`)).body
}

test('a batch is created in validating, with its deadline, zeros and what was asked', {
  skip: skipWithout(givenMaterial.schema),
}, async () => {
  const batch = await create(await upload(['a']), {
    metadata: { project: 'evals' },
    completion_window: '1h',
    output_expires_after: { anchor: 'created_at', seconds: 3600 },
  })
  assert.deepEqual(readWireSchema(givenMaterial.schema).problems('BatchWire', batch), [])
  assert.equal(batch.status, 'validating')
  assert.equal(batch.expires_at, batch.created_at + 3600)
  assert.deepEqual(batch.request_counts, { total: 0, completed: 0, failed: 0 })
  assert.equal(batch.usage.total_tokens, 0)
  assert.deepEqual(batch.metadata, { project: 'evals' })
})

test('an unknown input file is accepted, and fails the batch', async () => {
  const { id } = await create('file-unknown')
  await batchWhen(server.url, id, ({ status }) => status === 'failed')
  const { body } = await call<WireBatch>('GET', `/v1/batches/${id}`)
  const [error] = body.errors?.data ?? []
  assert.deepEqual([error?.code, error?.param, error?.line], ['invalid_request', 'file_id', null])
})

test('what cannot be a batch is refused at once', async () => {
  const file = await upload(['a'])
  const cases: [unknown, number, string | null][] = [
    [wanted(file, { completion_window: '17h' }), 400, 'completion_window'],
    [wanted(file, { completion_window: '' }), 400, 'completion_window'],
    [wanted(file, { endpoint: '/v1/images' }), 400, 'endpoint'],
    [wanted(file, { metadata: { a: 1 } }), 400, 'metadata.a'],
    [wanted(file, { x: 1 }), 400, 'x'],
    ['not json', 400, null],
    ['[]', 400, null],
    [undefined, 400, null],
    [`{"a":"${'x'.repeat(1_100_000)}"}`, 400, null],
  ]
  for (const [body, status, param] of cases) {
    const answer = await call<WireErrorBody>('POST', '/v1/batches', body)
    assert.deepEqual([answer.status, answer.body.error.param], [status, param], String(body).slice(0, 50))
  }
})

test('an output file cannot be the input of a batch', async () => {
  const batch = await endedBatch(['a'])
  const answer = await call<WireErrorBody>('POST', '/v1/batches', wanted(batch.output_file_id ?? ''))
  assert.deepEqual([answer.status, answer.body.error.param], [400, 'input_file_id'])
})

test('one idempotency key makes one batch, and another body under it is a conflict', async () => {
  const body = wanted(await upload(['a']))
  const headers = { 'idempotency-key': 'k-1' }
  const [first, second] = await Promise.all([
    call<WireBatch>('POST', '/v1/batches', body, headers),
    call<WireBatch>('POST', '/v1/batches', body, headers),
  ])
  assert.equal(first.body.id, second.body.id)
  const other = { ...body, metadata: { a: 'b' } }
  const conflict = await call<WireErrorBody>('POST', '/v1/batches', other, headers)
  assert.deepEqual([conflict.status, conflict.headers.get('x-should-retry')], [409, 'false'])
  const long = await call<WireErrorBody>('POST', '/v1/batches', body, { 'idempotency-key': 'k'.repeat(300) })
  assert.deepEqual([long.status, long.body.error.param], [400, 'Idempotency-Key'])
})

test('a running batch is cancelled, again without harm, and a completed one is a conflict that nobody repeats', async () => {
  const { id } = await create(await upload(['please wait']))
  await batchWhen(server.url, id, ({ status }) => status === 'in_progress')
  for (const body of [undefined, '', '{}']) {
    const headers = body === '' ? { 'content-type': 'application/json' } : {}
    const answer = await call<WireBatch>('POST', `/v1/batches/${id}/cancel`, body, headers)
    assert.equal(answer.status, 200)
    assert.match(answer.body.status, /^cancell/)
  }
  const done = await endedBatch(['a'])
  const refused = await call<WireErrorBody>('POST', `/v1/batches/${done.id}/cancel`)
  assert.deepEqual(
    [refused.status, refused.headers.get('x-should-retry'), refused.body.error],
    [
      409,
      'false',
      {
        message: "Cannot cancel a batch with status 'completed'.",
        type: 'invalid_request_error',
        param: null,
        code: null,
      },
    ],
  )
})

test('failed lines are retried in a new batch, with or without a body', async () => {
  const batch = await endedBatch(['a', 'please fail'])
  const answer = await call<WireBatch>('POST', `/v1/batches/${batch.id}/retry`)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  assert.equal(answer.body.dw.retry_of, batch.id)
  await batchWhen(server.url, answer.body.id, ({ status }) => status === 'completed')
  const again = await call<WireBatch>('POST', `/v1/batches/${answer.body.id}/retry`, {
    include_cancelled: true,
  })
  assert.equal(again.status, 200)
  const wrong = await call<WireErrorBody>('POST', `/v1/batches/${batch.id}/retry`, {
    include_cancelled: 'yes',
  })
  assert.deepEqual([wrong.status, wrong.body.error.param], [400, 'include_cancelled'])
  const nothing = await endedBatch(['a'])
  const refused = await call<WireErrorBody>('POST', `/v1/batches/${nothing.id}/retry`)
  assert.deepEqual([refused.status, refused.headers.get('x-should-retry')], [409, 'false'])
})

test('lists page newest first, and active ones first when asked', async () => {
  const made = [await create('file-x'), await create('file-x'), await create('file-x')].map(({ id }) => id)
  const waiting = await create(await upload(['please wait']))
  for (const id of made) await batchWhen(server.url, id, ({ status }) => status === 'failed')
  const page = async (query: string) => (await call<WireList<WireBatch>>('GET', `/v1/batches${query}`)).body
  const first = await page('?limit=2')
  assert.deepEqual(
    first.data.map(({ id }) => id),
    [waiting.id, made[2]],
  )
  assert.deepEqual([first.first_id, first.last_id, first.has_more], [waiting.id, made[2], true])
  const next = await page(`?limit=2&after=${first.last_id}`)
  assert.deepEqual(
    next.data.map(({ id }) => id),
    [made[1], made[0]],
  )
  const active = await page('?active_first=true&limit=100')
  const states = active.data.map(({ status }) => ['failed', 'completed', 'cancelled'].includes(status))
  assert.deepEqual(
    states,
    states.toSorted((a, b) => Number(a) - Number(b)),
  )
  await call('POST', `/v1/batches/${waiting.id}/cancel`)
})

test('figures of a batch add up, and have no price that nobody set', async () => {
  const batch = await endedBatch(['a', 'b', 'please fail'])
  const { body } = await call<WireAnalytics>('GET', `/v1/batches/${batch.id}/analytics`)
  assert.deepEqual(body.requests, { total: 3, completed: 2, failed: 1, expired: 0, cancelled: 0 })
  assert.equal(body.tokens.total, body.tokens.prompt + body.tokens.completion)
  assert.deepEqual([body.priced, body.total_cost], [false, null])
})

test('models are found by their name, with its slash encoded or not', async () => {
  const { body } = await call<{ object: string; data: WireModel[] }>('GET', '/v1/models')
  assert.deepEqual(body.data.map(({ id }) => id).toSorted(), ['org/model:1', 'test'])
  for (const path of ['org%2Fmodel:1', 'org%2Fmodel%3A1', 'org/model:1'])
    assert.equal((await call<WireModel>('GET', `/v1/models/${path}`)).body.id, 'org/model:1')
  const unknown = await call<WireErrorBody>('GET', '/v1/models/nobody')
  assert.deepEqual(
    [unknown.status, unknown.body.error],
    [
      404,
      {
        message: "The model 'nobody' does not exist",
        type: 'invalid_request_error',
        param: 'model',
        code: 'model_not_found',
      },
    ],
  )
})

const unknownIds: [string, string, string, string | null][] = [
  ['GET', '/v1/batches/batch_x', "No batch found with id 'batch_x'.", null],
  ['POST', '/v1/batches/batch_x/cancel', "No batch found with id 'batch_x'.", null],
  ['POST', '/v1/batches/batch_x/retry', "No batch found with id 'batch_x'.", null],
  ['GET', '/v1/batches/batch_x/analytics', "No batch found with id 'batch_x'.", null],
  ['GET', '/v1/files/file-x', 'No such File object: file-x', 'id'],
  ['DELETE', '/v1/files/file-x', 'No such File object: file-x', 'id'],
  ['GET', '/v1/files/file-x/content', 'No such File object: file-x', 'id'],
  ['GET', '/v1/files/file-x/content?skip=3', 'No such File object: file-x', 'id'],
  ['GET', '/v1/files/file-x/content?order=input', 'No such File object: file-x', 'id'],
  ['GET', '/v1/files/file-x/cost-estimate', 'No such File object: file-x', 'id'],
  ['GET', '/v1/files/file-x/findings', 'No such File object: file-x', 'id'],
]

for (const [method, path, message, param] of unknownIds) {
  test(`${method} ${path}: unknown`, async () => {
    const { status, body, headers } = await call<WireErrorBody>(method, path)
    assert.equal(status, 404)
    assert.deepEqual(body.error, { message, type: 'invalid_request_error', param, code: null })
    assert.match(headers.get('x-request-id') ?? '', /^req_[0-9a-f]{32}$/)
    assert.match(headers.get('content-type') ?? '', /^application\/json/)
  })
}

const wrongUrls: [string, string][] = [
  ['GET', '/v1/x'],
  ['GET', '/'],
  ['PUT', '/v1/files'],
  ['PATCH', '/v1/batches'],
  ['DELETE', '/v1/batches/batch_x'],
  ['DELETE', '/v1/batches'],
  ['POST', '/v1/files/file-x'],
  ['POST', '/v1/files/file-x/content'],
  ['POST', '/v1/batches/batch_x'],
  ['POST', '/v1/models'],
  ['GET', '/v1/batches/batch_x/cancel'],
  ['GET', '/v1/batches/batch_x/retry'],
  ['POST', '/health'],
  ['OPTIONS', '/v1/files'],
]

for (const [method, path] of wrongUrls) {
  test(`${method} ${path} is no route, whatever its body`, async () => {
    for (const body of method === 'GET' ? [undefined] : [undefined, 'not json', 'x'.repeat(2_000_000)]) {
      const answer = await call<WireErrorBody>(method, `${path}?key=secret`, body)
      assert.equal(answer.status, 404)
      assert.deepEqual(answer.body.error, {
        message: `Invalid URL (${method} ${path})`,
        type: 'invalid_request_error',
        param: null,
        code: null,
      })
    }
  })
}

test('an empty body of JSON is no fault where none is needed', async () => {
  const headers = { 'content-type': 'application/json' }
  for (const [method, path] of [
    ['DELETE', '/v1/files/file-x'],
    ['POST', '/v1/batches/batch_x/cancel'],
    ['POST', '/v1/batches/batch_x/retry'],
  ] as const) {
    for (const body of ['', '{}']) assert.equal((await call(method, path, body, headers)).status, 404)
  }
})

test('a server says that it is alive, that it is ready, and what it counts', async () => {
  assert.equal((await call<{ status: string }>('GET', '/health')).body.status, 'ok')
  const ready = await call<{ status: string; wall_clock_drift_ms: number }>('GET', '/ready')
  assert.deepEqual([ready.status, ready.body.status], [200, 'ready'])
  assert.ok(Number.isInteger(ready.body.wall_clock_drift_ms))
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  assert.match(metrics, /^dw_requests_recorded_total\{outcome="succeeded"\} [1-9]/m)
})
