/** The client as a library, against a real server of ours and one that has OpenAI's routes alone. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import {
  ApiError,
  BatchFailedError,
  createClient,
  DetachedError,
  InvalidRequestError,
  OutcomeUnknownError,
  type RunRequest,
  type RunResult,
} from '../src/client/index.ts'
import { batchWhen } from './kit/batch-api.ts'
import { startOpenAiService } from './kit/openai-service.ts'
import { startTestServer } from './kit/running-server.ts'
import { createGate, plainAnswer, startScriptedUpstream } from './kit/scripted-upstream.ts'
import { configFlags, createSandbox, startServerProcess } from './kit/server-process.ts'

const gate = createGate()
const upstream = await startScriptedUpstream({
  models: ['m'],
  script: (call) => {
    const text = call.body.toString('utf8')
    if (text.includes('refuse me')) return { status: 400, body: { error: { message: 'no', code: 'bad' } } }
    return text.includes('hold me') ? { body: plainAnswer(call), gate: gate.opened } : null
  },
})
const server = await startTestServer({ upstreamUrl: upstream.url, simulated: 'on' })
const client = createClient({ baseUrl: server.url, apiKey: null })
after(async () => {
  gate.open()
  await server.remove()
  await upstream.stop()
})

const LOOK = { lookMs: 20 }

function chat(content: string, model = 'm'): RunRequest {
  return { body: { model, messages: [{ role: 'user', content }] } }
}

function* questions(count: number, model?: string): Generator<RunRequest> {
  for (let number = 1; number <= count; number += 1) yield chat(`question ${number}`, model)
}

async function collect(results: AsyncIterable<RunResult>): Promise<Map<string, RunResult>> {
  const byId = new Map<string, RunResult>()
  for await (const result of results) {
    assert.ok(!byId.has(result.custom_id), `${result.custom_id} came twice`)
    byId.set(result.custom_id, result)
  }
  return byId
}

test('one awaited call runs all requests of a generator on the simulated model', async () => {
  const summary = await client.batches.run(questions(300, 'sim/echo'), LOOK)
  const { batch, ...counts } = summary
  assert.deepEqual(counts, { succeeded: 300, failed: 0, missing: 0, missingIds: [], repeated: 0 })
  assert.equal(batch.status, 'completed')
  assert.equal(batch.endpoint, '/v1/chat/completions')
})

test('results come by the ids of the requests, failures among them, and the summary after them', async () => {
  const requests: RunRequest[] = [
    { custom_id: 'a "quoted" id', method: 'POST', url: '/v1/chat/completions', body: chat('one').body },
    chat('two'),
    { ...chat('refuse me'), custom_id: 'the refused' },
  ]
  const metadata = { project: 'library' }
  const run = client.batches.run(requests, { ...LOOK, metadata, filename: 'ours.jsonl' })
  const created = await run.created
  assert.deepEqual(created.metadata, metadata)
  assert.equal((await client.files.get(created.input_file_id)).filename, 'ours.jsonl')
  const byId = await collect(run)
  assert.deepEqual([...byId.keys()].toSorted(), ['a "quoted" id', 'request-2', 'the refused'])
  const refused = byId.get('the refused')
  assert.deepEqual([refused?.outcome, refused?.response?.status_code], ['failed', 400])
  const { succeeded, failed, missing } = await run
  assert.deepEqual({ succeeded, failed, missing }, { succeeded: 2, failed: 1, missing: 0 })
  assert.throws(() => run[Symbol.asyncIterator](), TypeError)
})

test('a result comes while the batch still runs, and leaving the loop leaves the batch', async () => {
  const run = client.batches.run([chat('at once'), { ...chat('hold me'), custom_id: 'held' }], LOOK)
  for await (const result of run) {
    assert.equal(result.custom_id, 'request-1')
    break
  }
  const { id } = await run.created
  assert.equal((await client.batches.get(id)).status, 'in_progress')
  await assert.rejects(
    async () => await run,
    (thrown) => thrown instanceof DetachedError && thrown.batchId === id && !thrown.isCancelled,
  )
  gate.open()
  const byId = await collect(client.batches.attach(id, LOOK))
  assert.deepEqual([...byId.keys()].toSorted(), ['held', 'request-1'])
})

test('an abort detaches from a batch, or cancels it where that was asked for', async (t) => {
  const held = createGate()
  t.after(held.open)
  upstream.setScript((call) => ({ body: plainAnswer(call), gate: held.opened }))
  const begin = async (onAbort: 'detach' | 'cancel'): Promise<{ id: string; thrown: unknown }> => {
    const abort = new AbortController()
    // One that is cancelled before it has begun has no line that could fail.
    const begun = upstream.arrived(upstream.calls.length + 1)
    const run = client.batches.run([chat('x')], { ...LOOK, signal: abort.signal, onAbort })
    const [{ id }, thrown] = await Promise.all([
      run.created,
      Promise.resolve(run).catch((reason: unknown) => reason),
      Promise.all([run.created, begun]).then(() => abort.abort(new Error('enough'))),
    ])
    return { id, thrown }
  }
  const [left, cancelled] = [await begin('detach'), await begin('cancel')]
  assert.ok(left.thrown instanceof DetachedError && !left.thrown.isCancelled)
  assert.equal(left.thrown.batchId, left.id)
  assert.match(String(left.thrown.cause), /enough/)
  assert.ok(cancelled.thrown instanceof DetachedError && cancelled.thrown.isCancelled)
  assert.match((await client.batches.get(cancelled.id)).status, /^cancel/)
  assert.doesNotMatch((await client.batches.get(left.id)).status, /^cancel/)
  held.open()
  const { succeeded, batch } = await client.batches.attach(cancelled.id, LOOK)
  assert.equal(batch.status, 'cancelled')
  assert.equal(succeeded, 1, 'what was in flight is waited for')
  assert.equal((await client.batches.attach(left.id, LOOK)).succeeded, 1)
})

test('an abort before the batch is made makes none', async () => {
  const before = (await client.batches.list({ limit: 1 })).data[0]?.id
  const abort = new AbortController()
  const left = Promise.withResolvers<void>()
  async function* endless(): AsyncGenerator<RunRequest> {
    try {
      for (;;) {
        yield chat('more')
        await turn()
        abort.abort()
      }
    } finally {
      left.resolve()
    }
  }
  const run = client.batches.run(endless(), { signal: abort.signal })
  await assert.rejects(
    async () => await run,
    (thrown) => thrown instanceof DetachedError && thrown.batchId === null,
  )
  await left.promise
  assert.equal((await client.batches.list({ limit: 1 })).data[0]?.id, before)
})

test('what is no request, an input that the server refuses, and a wrong option have errors of their own', async () => {
  // A program without types may send what the type forbids.
  const wrong = [chat('fine'), { body: 'no object' } as unknown as RunRequest]
  await assert.rejects(
    async () => await client.batches.run(wrong),
    (thrown) => thrown instanceof InvalidRequestError && thrown.index === 1,
  )
  await assert.rejects(async () => await client.batches.run([]), InvalidRequestError)
  const twice = [chat('one'), chat('two')].map((request) => ({ ...request, custom_id: 'same' }))
  await assert.rejects(
    async () => await client.batches.run(twice, LOOK),
    (thrown) => thrown instanceof BatchFailedError && thrown.findings[0]?.line === 2,
  )
  await assert.rejects(
    async () => await client.batches.run([chat('one')], { completionWindow: '17h' }),
    (thrown) => thrown instanceof ApiError && thrown.status === 400,
  )
  await assert.rejects(
    async () => await client.batches.attach('batch_unknown'),
    (thrown) => thrown instanceof ApiError && thrown.status === 404,
  )
})

test('a server killed in the middle and started again changes nothing for its reader', async (t) => {
  const sandbox = createSandbox()
  const engine = await startScriptedUpstream({ models: ['m'] })
  const flags = configFlags(sandbox, { url: engine.url, concurrency: 8 })
  const first = await startServerProcess(sandbox, flags)
  const { port } = new URL(first.url)
  let second: Awaited<ReturnType<typeof startServerProcess>> | null = null
  t.after(async () => {
    await first.kill('SIGKILL')
    await second?.stop()
    await engine.stop()
    sandbox.remove()
  })
  const count = 400
  const held = createGate()
  engine.setScript((call) =>
    call.number > count / 2 ? { body: plainAnswer(call), gate: held.opened } : null,
  )
  const run = createClient({ baseUrl: first.url, apiKey: null }).batches.run(questions(count), LOOK)
  const byId = new Map<string, RunResult>()
  for await (const result of run) {
    assert.ok(!byId.has(result.custom_id))
    byId.set(result.custom_id, result)
    if (byId.size !== 100) continue
    await first.kill('SIGKILL')
    held.open()
    second = await startServerProcess(sandbox, [...flags, '--port', port])
  }
  const { succeeded, failed, missing, batch } = await run
  assert.deepEqual({ succeeded, failed, missing }, { succeeded: count, failed: 0, missing: 0 })
  assert.equal(byId.size, count)
  assert.equal((await batchWhen(first.url, batch.id, () => true)).status, 'completed')
})

test("with OpenAI's routes alone results come once the batch has ended, each once, and what is missing by name", async (t) => {
  const service = await startOpenAiService({
    linesPerLook: 3,
    isSparse: true,
    answer: ({ customId }) => {
      if (customId === 'request-2') return 'drop'
      if (customId === 'request-3') return 'duplicate'
      return customId === 'request-4' ? { status: 400 } : null
    },
  })
  t.after(() => service.stop())
  const theirs = createClient({ baseUrl: service.url, apiKey: service.env.OPENAI_API_KEY })
  let cuts = 0
  service.interfere = ({ path }) => (path.endsWith('/content') && cuts++ < 2 ? { cutAfterBytes: 700 } : null)
  const run = theirs.batches.run(questions(10, 'gpt-test'), LOOK)
  const byId = await collect(run)
  assert.equal(byId.size, 10)
  assert.equal(byId.get('request-2')?.outcome, 'missing')
  assert.equal(byId.get('request-4')?.outcome, 'failed')
  const { batch, ...counts } = await run
  assert.deepEqual(counts, { succeeded: 8, failed: 1, missing: 1, missingIds: ['request-2'], repeated: 1 })
  assert.equal(cuts, 5, 'two cut connections, then the rest of the output, the errors and the input')
  // Without its input nobody can say which request is missing.
  await theirs.files.delete(batch.input_file_id)
  const again = await theirs.batches.attach(batch.id, LOOK)
  assert.deepEqual([again.succeeded, again.missing, again.missingIds], [8, 1, []])
})

test('a reply that is lost makes no second batch, and a service that does not say leaves the question open', async (t) => {
  const service = await startOpenAiService()
  t.after(() => service.stop())
  const theirs = createClient({ baseUrl: service.url, apiKey: service.env.OPENAI_API_KEY })
  let lost = 0
  service.interfere = ({ method, path }) =>
    method === 'POST' && path === '/v1/batches' && lost++ === 0 ? { reset: 'after' } : null
  assert.equal((await theirs.batches.run(questions(2, 'gpt-test'), LOOK)).succeeded, 2)
  assert.equal(service.batches().length, 1)
  service.interfere = ({ method, path }) => {
    if (path !== '/v1/batches') return null
    return method === 'POST' ? { reset: 'after' } : { status: 403, body: { error: { message: 'no list' } } }
  }
  await assert.rejects(async () => await theirs.batches.run(questions(2, 'gpt-test')), OutcomeUnknownError)
  assert.equal(service.batches().length, 2)
})
