import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { batchWhen, createBatch } from '../../test/kit/batch-api.ts'
import { givenMaterial, skipWithout } from '../../test/kit/given-material.ts'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import {
  BOUNDARY,
  formOf,
  formType,
  type Part,
  startTestServer,
  type TestServer,
} from '../../test/kit/running-server.ts'
import { errorReply, type ScriptedUpstream, startScriptedUpstream } from '../../test/kit/scripted-upstream.ts'
import { readWireSchema } from '../../test/kit/wire-schema.ts'
import type { WireErrorBody, WireFile, WireList } from '../contract/wire.ts'

const FILE_BYTES_MAX = 2_000_000
const requests = jsonl([0, 1, 2].map((number) => chatLine(number, { model: 'test' })))
const purpose: Part = { name: 'purpose', value: 'batch' }
const file: Part = { name: 'file', value: requests, filename: 'a.jsonl' }

let upstream: ScriptedUpstream
let server: TestServer

before(async () => {
  upstream = await startScriptedUpstream({
    models: ['test'],
    script: (call) =>
      call.body.includes('please fail') ? errorReply(400, { code: 'content_filter' }) : null,
  })
  server = await startTestServer({
    upstreamUrl: upstream.url,
    limits: { fileBytesMax: FILE_BYTES_MAX, uploadsMax: 2 },
  })
})

after(async () => {
  await server?.remove()
  await upstream?.stop()
})

function post(parts: readonly Part[]): Promise<Response> {
  return fetch(`${server.url}/v1/files`, { method: 'POST', headers: formType, body: formOf(parts) })
}

async function uploaded(parts: readonly Part[] = [purpose, file]): Promise<WireFile> {
  const reply = await post(parts)
  assert.equal(reply.status, 200, await reply.clone().text())
  return (await reply.json()) as WireFile
}

async function errorOf(reply: Response): Promise<WireErrorBody['error']> {
  return ((await reply.json()) as WireErrorBody).error
}

function contentUrl(id: string, query = ''): string {
  return `${server.url}/v1/files/${id}/content${query}`
}

/** Blobs and half-written files of the data folder. */
function storedNames(): string[] {
  return readdirSync(join(server.dataDir, 'blobs')).toSorted()
}

test('the parts of a form may come in any order', async () => {
  const expiry: Part[] = [
    { name: 'expires_after[anchor]', value: 'created_at' },
    { name: 'expires_after[seconds]', value: '3600' },
  ]
  for (const parts of [
    [file, purpose],
    [purpose, file],
    [...expiry, file, purpose],
    [file, purpose, ...expiry],
  ]) {
    const made = await uploaded(parts)
    assert.equal(made.bytes, Buffer.byteLength(requests))
    assert.equal(made.status, 'processed')
    assert.equal(made.expires_at, parts.length === 4 ? made.created_at + 3600 : null)
    assert.equal(await (await fetch(contentUrl(made.id))).text(), requests)
  }
})

test('a file keeps its name, also beyond ASCII', async () => {
  const made = await uploaded([purpose, { ...file, filename: 'grüße %22x%22 日本.jsonl' }])
  assert.equal(made.filename, 'grüße "x" 日本.jsonl')
  const header = (await fetch(contentUrl(made.id))).headers.get('content-disposition')
  assert.equal(
    header,
    `attachment; filename="gr__e _x_ __.jsonl"; filename*=UTF-8''${encodeURIComponent('grüße "x" 日本.jsonl')}`,
  )
})

const refusals: { what: string; parts: Part[]; message: RegExp; param?: string }[] = [
  { what: 'no purpose', parts: [file], message: /^'purpose' is a required property$/ },
  { what: 'no file', parts: [purpose], message: /^'file' is a required property$/ },
  {
    what: 'a purpose of another kind',
    parts: [file, { name: 'purpose', value: 'fine-tune' }],
    message: /^'fine-tune' is not one of \['batch'\] - 'purpose'$/,
  },
  {
    what: 'an unknown field',
    parts: [purpose, { name: 'colour', value: 'red' }, file],
    message: /^Additional properties are not allowed \('colour' was unexpected\)$/,
  },
  {
    what: 'two files',
    parts: [purpose, file, file],
    message: /^Additional properties are not allowed \('file'/,
  },
  { what: 'a file in another field', parts: [purpose, { ...file, name: 'data' }], message: /\('data' was/ },
  {
    what: 'a name that does not end .jsonl',
    parts: [purpose, { ...file, filename: 'a.txt' }],
    message: /^Invalid file format for Batch API\. Must be \.jsonl$/,
  },
  {
    what: 'an empty file',
    parts: [purpose, { ...file, value: '' }],
    message: /^Invalid file format for Batch API/,
  },
  {
    what: 'a file that is no JSON',
    parts: [purpose, { ...file, value: 'hello\n' }],
    message: /^Invalid file format for Batch API/,
  },
  {
    what: 'a name that is too long',
    parts: [purpose, { ...file, filename: `${'x'.repeat(600)}.jsonl` }],
    message: /^The file name has 606 characters/,
  },
  {
    what: 'too many parts',
    parts: [...Array.from({ length: 40 }, () => purpose), file],
    message: /^The form has too many parts/,
  },
  { what: 'a name that every object has', parts: [{ name: 'constructor', value: 'x' }, file], message: /./ },
]

test('a part without a name is refused, whatever else it has', async () => {
  const body = '--b\r\nContent-Disposition: form-data; nam="file"; filename="a.jsonl"\r\n\r\n{}\r\n--b--\r\n'
  const headers = { 'content-type': 'multipart/form-data; boundary=b' }
  const reply = await fetch(`${server.url}/v1/files`, { method: 'POST', headers, body })
  assert.equal(reply.status, 400)
  assert.match(await reply.text(), /A part of the form has no name/)
})

for (const { what, parts, message } of refusals) {
  test(`an upload with ${what} is refused in the older wording and leaves nothing`, async () => {
    const before = storedNames()
    const reply = await post(parts)
    assert.equal(reply.status, 400)
    const error = await errorOf(reply)
    assert.match(error.message, message)
    assert.deepEqual([error.type, error.param], ['invalid_request_error', null])
    if (what !== 'a name that every object has') assert.equal(error.code, null)
    assert.deepEqual(storedNames(), before)
  })
}

test('an expiry outside of its bounds is refused with its parameter', async () => {
  const anchor: Part = { name: 'expires_after[anchor]', value: 'created_at' }
  for (const value of ['3599', '2592001', '-1', '3600.5', 'soon', '']) {
    const reply = await post([file, purpose, anchor, { name: 'expires_after[seconds]', value }])
    assert.deepEqual([reply.status, (await errorOf(reply)).param], [400, 'expires_after.seconds'], value)
  }
  const noAnchor = await post([file, purpose, { name: 'expires_after[seconds]', value: '3600' }])
  assert.equal((await errorOf(noAnchor)).param, 'expires_after.anchor')
})

test('a body that is no form is refused', async () => {
  const cases: [Record<string, string>, string][] = [
    [{}, ''],
    [{ 'content-type': 'application/json' }, '{}'],
    [{ 'content-type': 'multipart/form-data' }, 'x'],
    [formType, ''],
    [formType, 'not a form at all'],
    [formType, `--${BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbat`],
  ]
  for (const [headers, body] of cases) {
    const reply = await fetch(`${server.url}/v1/files`, { method: 'POST', headers, body })
    assert.equal(reply.status, 400, body)
    assert.match(reply.headers.get('x-request-id') ?? '', /^req_[0-9a-f]{32}$/)
  }
})

test('a file over the limit is refused while it is read, and the refusal arrives', async () => {
  const before = storedNames()
  const large: Part = { ...file, value: requests.repeat(40_000) }
  for (const parts of [
    [purpose, large],
    [large, purpose],
  ]) {
    const reply = await post(parts)
    assert.equal(reply.status, 400)
    const error = await errorOf(reply)
    assert.match(error.message, /^File is too large\./)
    assert.deepEqual([error.param, error.code], [null, null])
  }
  assert.deepEqual(storedNames(), before)
  // To one that reads only after it has sent everything, as many clients do.
  const body = formOf([purpose, large])
  const head = `POST /v1/files HTTP/1.1\r\nhost: localhost:${server.port}\r\ncontent-type: ${formType['content-type']}\r\ncontent-length: ${body.length}\r\n\r\n`
  const received = await sendAllThenRead(head, body)
  assert.match(received, /^HTTP\/1\.1 400 [\s\S]*File is too large\./)
})

async function sendAllThenRead(head: string, body: Uint8Array): Promise<string> {
  const socket = connect(server.port, '127.0.0.1').pause()
  socket.write(head)
  await new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.write(body, resolve)
  })
  const [received] = await once(socket.resume(), 'data')
  socket.destroy()
  return String(received)
}

test('an upload whose connection is cut leaves nothing, and its place is free again', async () => {
  const names = storedNames()
  // More of them than may run at the same time: each must give its place back.
  for (let count = 0; count < 5; count += 1) {
    const socket = await beganUpload()
    socket.destroy()
    await until(() => storedNames().length === names.length)
  }
  assert.deepEqual(storedNames(), names)
  await uploaded()
})

test('more uploads at the same time than allowed are told to come back', async () => {
  const sockets = [await beganUpload(), await beganUpload()]
  const reply = await post([purpose, file])
  assert.equal(reply.status, 429)
  assert.ok(Number(reply.headers.get('retry-after')) >= 1)
  assert.equal((await errorOf(reply)).code, 'too_many_uploads')
  const names = storedNames()
  for (const socket of sockets) socket.destroy()
  await until(() => storedNames().length < names.length - 2)
  await uploaded()
})

/** Sends the beginning of an upload. @returns once the server has begun to store it */
async function beganUpload(): Promise<Socket> {
  const names = storedNames()
  const socket = connect(server.port, '127.0.0.1')
  socket.write(
    `POST /v1/files HTTP/1.1\r\nhost: localhost:${server.port}\r\ncontent-type: ${formType['content-type']}\r\ncontent-length: 100000\r\n\r\n`,
  )
  socket.write(formOf([purpose, file]).subarray(0, 400))
  // The bytes and the index.
  await until(() => storedNames().length === names.length + 2)
  return socket
}

/** What the disk shows of an upload has no event to wait for. */
async function until(isSo: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 10_000
  while (!isSo()) {
    assert.ok(performance.now() < giveUpAt, 'waited in vain')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const ranges: { range: string; status: number; from?: number; to?: number }[] = [
  { range: 'bytes=0-0', status: 206, from: 0, to: 1 },
  { range: 'bytes=5-9', status: 206, from: 5, to: 10 },
  { range: 'bytes=100-', status: 206, from: 100 },
  { range: 'bytes=-7', status: 206, from: -7 },
  { range: 'bytes=10-999999', status: 206, from: 10 },
  { range: 'bytes=-999999', status: 206, from: 0 },
  { range: 'bytes=999999-', status: 416 },
  { range: 'bytes=-0', status: 416 },
  { range: 'bytes=0-1,4-5', status: 200 },
  { range: 'bytes=9-2', status: 200 },
  { range: 'lines=0-1', status: 200 },
]

test('one range of bytes is answered with that part, anything else with the whole', async () => {
  const { id } = await uploaded()
  const bytes = Buffer.from(requests)
  for (const { range, status, from, to } of ranges) {
    for (const method of ['GET', 'HEAD']) {
      const reply = await fetch(contentUrl(id), { method, headers: { range } })
      const got = Buffer.from(await reply.arrayBuffer())
      assert.equal(reply.status, status, range)
      if (status === 416) {
        assert.equal(reply.headers.get('content-range'), `bytes */${bytes.length}`)
        assert.equal(reply.headers.get('content-disposition'), null)
        if (method === 'GET')
          assert.match(JSON.parse(got.toString()).error.message, /^The range does not begin/)
        continue
      }
      const wanted = status === 200 ? bytes : bytes.subarray(from, to)
      assert.equal(reply.headers.get('content-length'), String(wanted.length), range)
      assert.deepEqual(got, method === 'GET' ? wanted : Buffer.alloc(0), range)
      if (status === 200) continue
      const start = from !== undefined && from < 0 ? bytes.length + from : (from ?? 0)
      assert.equal(
        reply.headers.get('content-range'),
        `bytes ${start}-${start + wanted.length - 1}/${bytes.length}`,
      )
    }
  }
})

test('content has the headers of a download, and a tag that is honoured', async () => {
  const { id } = await uploaded()
  const whole = await fetch(contentUrl(id), { headers: { accept: 'application/json' } })
  await whole.arrayBuffer()
  assert.equal(whole.headers.get('content-type'), 'application/octet-stream')
  assert.equal(whole.headers.get('content-disposition'), 'attachment; filename="a.jsonl"')
  assert.equal(whole.headers.get('accept-ranges'), 'bytes')
  const etag = whole.headers.get('etag') ?? ''
  const known = await fetch(contentUrl(id), { headers: { 'if-none-match': etag } })
  assert.deepEqual([known.status, await known.text()], [304, ''])
  const ask = (ifRange: string) =>
    fetch(contentUrl(id), { headers: { range: 'bytes=0-3', 'if-range': ifRange } }).then(
      (reply) => reply.status,
    )
  assert.equal(await ask(etag), 206)
  assert.equal(await ask('"other"'), 200)
})

test('lines from a number on, and the exact place to go on from', async () => {
  const path = [
    chatLine(0, { model: 'test' }),
    chatLine(1, { model: 'test', content: 'please fail' }),
    chatLine(2, { model: 'test' }),
  ]
  const { id } = await uploaded([purpose, { ...file, value: jsonl(path) }])
  const { id: batchId } = await createBatch(server.url, id)
  const batch = await batchWhen(server.url, batchId, ({ status }) => status === 'completed')
  const output = batch.output_file_id ?? assert.fail('no output')
  for (const alias of ['skip', 'offset']) {
    const reply = await fetch(contentUrl(output, `?${alias}=1`))
    const text = await reply.text()
    assert.equal(text.trimEnd().split('\n').length, 1)
    assert.equal(reply.headers.get('content-length'), String(Buffer.byteLength(text)))
    assert.deepEqual([reply.headers.get('x-last-line'), reply.headers.get('x-incomplete')], ['2', 'false'])
  }
  const end = await fetch(contentUrl(output, '?skip=2'))
  assert.deepEqual([await end.text(), end.headers.get('x-last-line')], ['', '2'])
  const ordered = await fetch(contentUrl(output, '?order=input'))
  const ids = (await ordered.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).custom_id)
  assert.deepEqual(ids, ['request-0', 'request-2'])
  assert.equal((await fetch(contentUrl(output, '?order=input&skip=1'))).status, 400)
  assert.equal((await fetch(contentUrl(output, '?order=sideways'))).status, 400)
  assert.equal((await fetch(contentUrl(output, '?skip=-1'))).status, 400)
})

test('every problem of a file can be read, and a file without problems has none', async () => {
  const bad = await uploaded([purpose, { ...file, value: `${requests}nonsense\n{"custom_id":"x"}\n` }])
  const read = (id: string) => fetch(`${server.url}/v1/files/${id}/findings`)
  const reply = await read(bad.id)
  assert.equal(reply.headers.get('content-type'), 'application/x-ndjson')
  const findings = (await reply.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(findings[0].code, 'invalid_json_line')
  assert.ok(findings.length > 1)
  assert.equal(await (await read((await uploaded()).id)).text(), '')
  assert.equal((await read('file-unknown')).status, 404)
})

test('an estimate without prices says so, and its window is one of the server', async () => {
  const { id } = await uploaded()
  const ask = (query: string) => fetch(`${server.url}/v1/files/${id}/cost-estimate${query}`)
  // The shape of our own reply.
  const estimate = (await (await ask('')).json()) as Record<string, unknown>
  assert.deepEqual(
    [estimate.completion_window, estimate.total_requests, estimate.priced, estimate.total_estimated_cost],
    ['24h', 3, false, 'not set'],
  )
  const refused = await ask('?completion_window=17h')
  assert.deepEqual([refused.status, (await errorOf(refused)).param], [400, 'completion_window'])
})

test('lists page by id in either order, and every file fits the published schema', {
  skip: skipWithout(givenMaterial.schema),
}, async () => {
  const made = [await uploaded(), await uploaded(), await uploaded()].map(({ id }) => id)
  const list = async (query: string): Promise<WireList<WireFile>> =>
    (await (await fetch(`${server.url}/v1/files${query}`)).json()) as WireList<WireFile>
  const first = await list('?limit=2&purpose=batch')
  assert.deepEqual(
    first.data.map(({ id }) => id),
    made.toReversed().slice(0, 2),
  )
  assert.equal(first.has_more, true)
  const next = await list(`?limit=2&after=${first.last_id}`)
  assert.equal(next.data[0]?.id, made[0])
  assert.equal((await list('?order=asc&limit=10000')).data.at(-1)?.id, made[2])
  assert.deepEqual((await list('?purpose=evals')).data, [])
  const schema = readWireSchema(givenMaterial.schema)
  assert.deepEqual(schema.problems('ListFilesResponseWire', first), [])
  for (const one of first.data) assert.deepEqual(schema.problems('OpenAIFileWire', one), [])
  const gone = await fetch(`${server.url}/v1/files/${made[0]}`, { method: 'DELETE' })
  assert.deepEqual(await gone.json(), { id: made[0], object: 'file', deleted: true })
  assert.equal((await fetch(`${server.url}/v1/files/${made[0]}`)).status, 404)
})
