import assert from 'node:assert/strict'
import { createReadStream, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import OpenAI, { APIError, ConflictError, NotFoundError, toFile } from 'openai'
import { batchWhen } from './kit/batch-api.ts'
import { givenMaterial, skipWithout } from './kit/given-material.ts'
import { chatLine, countIds, jsonl, parseLines, writeChatFile } from './kit/requests.ts'
import {
  createGate,
  errorReply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from './kit/scripted-upstream.ts'
import { configFlags, createSandbox, type ServerProcess, startServerProcess } from './kit/server-process.ts'
import { readWireSchema } from './kit/wire-schema.ts'

type Captured = { method: string; path: string; status: number; headers: Headers; text: string }

const sandbox = createSandbox()
const captured: Captured[] = []
let upstream: ScriptedUpstream
let server: ServerProcess
let client: OpenAI
/** Held lines answer when the test ends. */
const gate = createGate()

before(async () => {
  upstream = await startScriptedUpstream({
    models: ['test', 'other'],
    script: (call) => {
      const body = call.body.toString('utf8')
      if (body.includes('please fail')) return errorReply(400, { code: 'content_filter' })
      return body.includes('please wait') ? { gate: gate.opened, breakAt: 'reset' } : null
    },
  })
  server = await startServerProcess(sandbox, configFlags(sandbox, { url: upstream.url, concurrency: 16 }))
  client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: 'anything',
    maxRetries: 0,
    fetch: capturingFetch,
  })
})

after(async () => {
  gate.open()
  await server?.stop()
  await upstream?.stop()
  sandbox.remove()
})

/** Keeps each reply as it came over the wire, before the client reads it. */
async function capturingFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const reply = await fetch(input, init)
  const url = new URL(input instanceof Request ? input.url : input)
  // The client asks its own `fetch` for a data: address once, to see what it can do.
  if (url.protocol === 'data:') return reply
  const { status, headers } = reply
  captured.push({
    method: init?.method ?? 'GET',
    path: url.pathname + url.search,
    status,
    headers,
    text: await reply.clone().text(),
  })
  return reply
}

function newBatch(inputFileId: string, metadata?: Record<string, string>): Promise<OpenAI.Batch> {
  return client.batches.create({
    input_file_id: inputFileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    ...(metadata === undefined ? {} : { metadata }),
  })
}

function upload(content: string, name = 'requests.jsonl'): Promise<OpenAI.FileObject> {
  return toFile(Buffer.from(content), name).then((file) => client.files.create({ file, purpose: 'batch' }))
}

function ended(id: string): Promise<unknown> {
  return batchWhen(server.url, id, (batch) => ['completed', 'failed', 'cancelled'].includes(batch.status))
}

test('the official client uploads, creates, polls and downloads', async () => {
  const path = sandbox.path('requests.jsonl')
  writeChatFile(path, 30, { model: 'test', content: (n) => (n % 10 === 7 ? 'please fail' : `question ${n}`) })
  const file = await client.files.create({ file: createReadStream(path), purpose: 'batch' })
  assert.equal(file.filename, 'requests.jsonl')
  const created = await newBatch(file.id, { project: 'evals' })
  assert.equal(created.status, 'validating')
  await ended(created.id)
  const batch = await client.batches.retrieve(created.id)
  assert.equal(batch.status, 'completed')
  assert.deepEqual(batch.request_counts, { total: 30, completed: 27, failed: 3 })
  assert.deepEqual(batch.metadata, { project: 'evals' })
  const output = await (await client.files.content(batch.output_file_id ?? '')).text()
  const errors = await (await client.files.content(batch.error_file_id ?? '')).text()
  assert.equal(countIds(parseLines(output + errors)).size, 30)
  assert.equal(await (await client.files.content(file.id)).text(), readFileSync(path, 'utf8'))
})

test('the official client pages through files and batches', async () => {
  const file = await upload(jsonl([chatLine(1, { model: 'test' })]))
  const made = []
  for (let count = 0; count < 5; count += 1) made.push((await newBatch(file.id)).id)
  const seen = []
  for await (const batch of client.batches.list({ limit: 2 })) seen.push(batch.id)
  assert.deepEqual(seen.slice(0, 5), made.toReversed())
  assert.equal(new Set(seen).size, seen.length)
  const files = []
  for await (const one of client.files.list({ limit: 2, purpose: 'batch', order: 'asc' })) files.push(one.id)
  assert.ok(files.includes(file.id))
  assert.equal(new Set(files).size, files.length)
  const models = []
  for await (const model of client.models.list()) models.push(model.id)
  assert.deepEqual(models.toSorted(), ['other', 'test'])
})

test('the official client cancels a running batch, and a second cancel is no error', async () => {
  const file = await upload(jsonl([chatLine(1, { model: 'test', content: 'please wait' })]))
  const { id } = await newBatch(file.id)
  await batchWhen(server.url, id, (batch) => batch.status === 'in_progress')
  assert.match((await client.batches.cancel(id)).status, /^cancell/)
  assert.match((await client.batches.cancel(id)).status, /^cancell/)
  gate.open()
  await ended(id)
  const batch = await client.batches.retrieve(id)
  assert.equal(batch.status, 'cancelled')
  const errors = parseLines(await (await client.files.content(batch.error_file_id ?? '')).text())
  assert.deepEqual(
    errors.map((line) => line.error?.code),
    ['batch_cancelled'],
  )
})

test('the official client deletes a file, and then finds it no more', async () => {
  const file = await upload(jsonl([chatLine(1, { model: 'test' })]))
  assert.deepEqual(await client.files.delete(file.id), { id: file.id, object: 'file', deleted: true })
  await assert.rejects(client.files.retrieve(file.id), NotFoundError)
  await assert.rejects(client.batches.retrieve('batch_unknown'), NotFoundError)
})

test('a batch made of a bad file fails with its findings, and a completed one cannot be cancelled', async () => {
  const bad = await upload('{"custom_id":"a"}\nnot json\n')
  const failed = await newBatch(bad.id)
  await ended(failed.id)
  const batch = await client.batches.retrieve(failed.id)
  assert.equal(batch.status, 'failed')
  assert.deepEqual([...new Set(batch.errors?.data?.map((finding) => finding.line))], [1, 2])

  const good = await newBatch((await upload(jsonl([chatLine(1, { model: 'test' })]))).id)
  await ended(good.id)
  await assert.rejects(client.batches.cancel(good.id), ConflictError)
  const wrongWindow = client.batches.create({
    input_file_id: bad.id,
    endpoint: '/v1/chat/completions',
    // What the server refuses is outside of the client's types.
    completion_window: '17h' as '24h',
  })
  await assert.rejects(wrongWindow, (thrown) => thrown instanceof APIError && thrown.status === 400)
})

test('every reply of the tests before fits the published schema and carries a request id', {
  skip: skipWithout(givenMaterial.schema),
}, (t) => {
  const schema = readWireSchema(givenMaterial.schema)
  const problems: string[] = []
  const checked = new Map<string, number>()
  for (const reply of captured) {
    const where = `${reply.method} ${reply.path} ${reply.status}`
    if (!reply.headers.get('x-request-id')) problems.push(`${where}: no x-request-id`)
    const definition = definitionOf(reply)
    if (definition === null) continue
    checked.set(definition, (checked.get(definition) ?? 0) + 1)
    const values = definition.startsWith('BatchRequest')
      ? parseLines<unknown>(reply.text)
      : [JSON.parse(reply.text)]
    for (const value of values) {
      for (const problem of schema.problems(definition, value)) problems.push(`${where}: ${problem}`)
      const { metadata } = value as { metadata?: unknown }
      if (metadata !== undefined) problems.push(...schema.problems('MetadataStrict', metadata))
    }
  }
  assert.deepEqual(problems, [])
  for (const definition of [
    'BatchWire',
    'OpenAIFileWire',
    'BatchRequestOutputStrict',
    'ListBatchesResponseWire',
  ])
    assert.ok(checked.has(definition), `${definition} was seen`)
  t.diagnostic([...checked].map(([definition, count]) => `${count} ${definition}`).join(', '))
})

/** The definition that a reply must fit; null for what the schema does not describe. */
function definitionOf(reply: Captured): string | null {
  if (reply.status >= 400) return 'ErrorResponse'
  const path = reply.path.replace(/\?.*$/, '').replace(/^\/v1/, '')
  if (/^\/files\/[^/]+\/content$/.test(path)) {
    return reply.text.includes('"method":') ? 'BatchRequestInputStrict' : 'BatchRequestOutputStrict'
  }
  if (path === '/files') return reply.method === 'GET' ? 'ListFilesResponseWire' : 'OpenAIFileWire'
  if (path.startsWith('/files/')) return reply.method === 'DELETE' ? 'DeleteFileResponse' : 'OpenAIFileWire'
  if (path === '/batches') return reply.method === 'GET' ? 'ListBatchesResponseWire' : 'BatchWire'
  if (path.startsWith('/batches/')) return 'BatchWire'
  return path === '/models' ? 'ListModelsResponse' : null
}
