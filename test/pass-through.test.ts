/** Realtime calls through the real server: the official client before the simulated model, and bytes before a scripted upstream. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import OpenAI, { NotFoundError } from 'openai'
import { REALTIME_WAIT_MS_MAX, REALTIME_WAITING_MAX } from '../src/domain/limits.ts'
import { startServer } from '../src/server.ts'
import { startSimulatedModel } from '../src/sim/simulated-model.ts'
import { batchWhen, createBatch } from './kit/batch-api.ts'
import { createJumpingClock } from './kit/jumping-clock.ts'
import { chatLine, jsonl } from './kit/requests.ts'
import { startTestServer, type TestServer, testConfig } from './kit/running-server.ts'
import { createGate, plainAnswer, type Script, startScriptedUpstream } from './kit/scripted-upstream.ts'

const sim = await startSimulatedModel({ knobs: { ttftMs: 5, tokensPerSecond: 2_000, jitter: 0 } })
const simulated = await startTestServer({ upstreamUrl: sim.url })
const client = new OpenAI({ baseURL: `${simulated.url}/v1`, apiKey: 'anything', maxRetries: 0 })
const scripted = await startScriptedUpstream({ models: ['m', 'busy'] })
const server = await startTestServer({
  upstreams: [{ name: 'engine', url: scripted.url, key: 'sk-upstream-secret-key', concurrency: 2 }],
  timing: { retryDelayMs: 20, retryDelayMsMax: 50, drainMs: 0 },
})
await upstreamIsUp(server)
after(async () => {
  await Promise.all([simulated.remove(), server.remove()])
  await Promise.all([sim.stop(), scripted.stop()])
})

async function upstreamIsUp({ url }: TestServer): Promise<void> {
  for (;;) {
    const { upstreams } = (await (await fetch(`${url}/ready`)).json()) as { upstreams: { state: string }[] }
    if (upstreams.every(({ state }) => state === 'up')) return
  }
}

const post = (
  body: string | Uint8Array,
  path = '/v1/chat/completions',
  init: RequestInit = {},
): Promise<Response> =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    ...init,
  })

/** Replaces what the upstream answers until the test ends. */
function answering(script: Script, t: { after: (done: () => void) => void }): void {
  scripted.setScript(script)
  t.after(() => scripted.setScript(() => null))
}

const CHAT = '{"model":"m","messages":[{"role":"user","content":"hello"}]}'

test('the official client chats, with and without a stream, embeds and asks for responses', async () => {
  const messages = [{ role: 'user' as const, content: 'one two three' }]
  const whole = await client.chat.completions.create({ model: 'sim/echo', messages })
  assert.equal(whole.choices[0]?.message.content, 'one two three')
  assert.equal(whole.system_fingerprint, 'dw-simulated')
  const pieces: string[] = []
  for await (const chunk of await client.chat.completions.create({
    model: 'sim/echo',
    messages,
    stream: true,
  }))
    pieces.push(chunk.choices[0]?.delta.content ?? '')
  assert.equal(pieces.join(''), 'one two three')
  assert.ok(pieces.length > 2, 'token by token')
  const { data } = await client.embeddings.create({ model: 'sim/embed', input: ['a', 'b'], dimensions: 8 })
  assert.deepEqual(
    data.map(({ embedding }) => embedding.length),
    [8, 8],
  )
  assert.equal((await client.responses.create({ model: 'sim/echo', input: 'four' })).output_text, 'four')
  const events = await client.responses.create({ model: 'sim/echo', input: 'five', stream: true })
  const types: string[] = []
  for await (const event of events) types.push(event.type)
  assert.ok(types.includes('response.output_text.delta'))
  assert.equal(types.at(-1), 'response.completed')
  const legacy = await client.completions.create({ model: 'sim/echo', prompt: 'six' })
  assert.match(legacy.choices[0]?.text ?? '', /six/)
})

test('R19: an answer of the simulated model says so, and a real model that nobody serves is not found', async () => {
  const { response } = await client.chat.completions
    .create({ model: 'sim/echo', messages: [{ role: 'user', content: 'x' }] })
    .withResponse()
  assert.equal(response.headers.get('x-dw-simulated'), 'true')
  await assert.rejects(
    client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }] }),
    (thrown) =>
      thrown instanceof NotFoundError &&
      thrown.code === 'model_not_found' &&
      thrown.type === 'invalid_request_error',
  )
})

test('the bytes of the body go out unchanged, with the credentials of the upstream alone', async () => {
  const body = `{ "messages" : [],\n  "seed":12345678901234567890, "é":"\\u00e9 ü", "model" : "\\u006d" }`
  const reply = await post(body, '/v1/completions', {
    headers: { 'content-type': 'application/json', authorization: 'Bearer mine', 'x-other': 'mine' },
  })
  assert.equal(reply.status, 200)
  const call = scripted.calls.at(-1)
  assert.equal(call?.body.toString('utf8'), body)
  assert.equal(call?.path, '/v1/completions')
  assert.equal(call?.authorization, 'Bearer sk-upstream-secret-key')
  assert.equal(call?.headers['x-other'], undefined)
  assert.equal(call?.requestId, reply.headers.get('x-request-id'))
  assert.equal(reply.headers.get('dw-upstream'), 'engine')
  assert.equal(reply.headers.get('content-type'), 'application/json')
})

test('the answer comes back byte for byte, and each part of a stream as soon as it is there', async (t) => {
  const gate = createGate()
  async function* parts(): AsyncGenerator<string> {
    const head =
      'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n'
    yield `${head}data: {"n":1}\n\n`
    await gate.opened
    yield ': a comment\n\ndata: [DONE]\n\n'
  }
  answering(() => ({ raw: { parts: parts(), end: 'close' } }), t)
  const reply = await post(CHAT)
  assert.equal(reply.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const reader = reply.body?.getReader()
  const first = await reader?.read()
  assert.equal(Buffer.from(first?.value ?? []).toString(), 'data: {"n":1}\n\n')
  gate.open()
  const second = await reader?.read()
  assert.equal(Buffer.from(second?.value ?? []).toString(), ': a comment\n\ndata: [DONE]\n\n')
  assert.equal((await reader?.read())?.done, true)
})

test('status and body of an upstream that refuses pass through, without its key', async (t) => {
  answering(
    ({ body }) =>
      body.includes('busy')
        ? { status: 429, headers: { 'retry-after': '0' }, body: { error: { message: 'slow down' } } }
        : {
            status: 422,
            body: '{"error":{"message":"bad sk-upstream-secret-key"}}',
            headers: { 'content-type': 'application/json' },
          },
    t,
  )
  const refused = await post(CHAT)
  assert.equal(refused.status, 422)
  assert.equal(await refused.text(), '{"error":{"message":"bad ****"}}')
  const busy = await post(CHAT.replace('"m"', '"busy"'))
  assert.equal(busy.status, 429)
  assert.equal(busy.headers.get('retry-after'), '0')
  assert.deepEqual(await busy.json(), { error: { message: 'slow down' } })
})

test('an answer that breaks off never looks whole', async (t) => {
  answering(() => ({ body: 'x'.repeat(4_000), breakAt: 'reset-in-body' }), t)
  await assert.rejects((await post(CHAT)).text())
  // Its head, some of its body and what no body can hold, all in one piece.
  const broken =
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{"\r\nno length\r\n'
  answering(() => ({ raw: { parts: [broken], end: 'close' } }), t)
  await assert.rejects(post(CHAT).then((reply) => reply.text()))
  answering(() => ({ breakAt: 'reset' }), t)
  const reply = await post(CHAT)
  assert.equal(reply.status, 502)
  assert.equal(((await reply.json()) as { error: { code: string } }).error.code, 'upstream_failed')
})

test('a caller who hangs up ends the call upstream at once, and its permit is free again', async (t) => {
  const gate = createGate()
  t.after(() => gate.open())
  answering(({ body }) => (body.includes('hold') ? { gate: gate.opened } : null), t)
  const before = scripted.calls.length
  const callers = [1, 2].map(() => {
    const caller = new AbortController()
    return { caller, reply: post(CHAT.replace('hello', 'hold'), undefined, { signal: caller.signal }) }
  })
  await scripted.arrived(before + 2)
  // Both permits are taken: this one waits.
  const waiting = post(CHAT)
  for (const { caller, reply } of callers) {
    caller.abort()
    await assert.rejects(reply)
  }
  assert.equal((await waiting).status, 200)
  const held = scripted.calls.slice(before, before + 2)
  assert.deepEqual(
    held.map(({ isCut }) => isCut),
    [true, true],
  )
})

test('a caller who hangs up in the middle of a stream ends the call upstream too', async (t) => {
  const gate = createGate()
  async function* parts(): AsyncGenerator<string> {
    yield 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\n'
    await gate.opened
  }
  answering(() => ({ raw: { parts: parts(), end: 'close' } }), t)
  t.after(() => gate.open())
  const caller = new AbortController()
  const reply = await post(CHAT, undefined, { signal: caller.signal })
  const reader = reply.body?.getReader()
  await reader?.read()
  caller.abort()
  await gaugeIs('dw_calls_in_flight', 0)
  assert.equal(scripted.calls.at(-1)?.isCut, true)
})

test('more callers than may wait are refused with the time to come back, and leave nothing behind', async (t) => {
  const gate = createGate()
  t.after(() => gate.open())
  answering((call) => ({ gate: gate.opened, body: plainAnswer(call) }), t)
  const before = scripted.calls.length
  const caller = new AbortController()
  const ask = (): Promise<Response> => post(CHAT, undefined, { signal: caller.signal })
  const held = Array.from({ length: 2 + REALTIME_WAITING_MAX }, ask)
  const left = Promise.allSettled(held)
  await scripted.arrived(before + 2)
  await gaugeIs('dw_realtime_waiting', REALTIME_WAITING_MAX)
  const refused = await post(CHAT)
  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('retry-after'), '5')
  const { error } = (await refused.json()) as { error: { code: string; type: string } }
  assert.deepEqual([error.code, error.type], ['realtime_queue_full', 'requests'])
  caller.abort()
  await left
  await gaugeIs('dw_realtime_waiting', 0)
  await gaugeIs('dw_calls_in_flight', 0)
})

test('who waits longer than anybody would is told to come back', async (t) => {
  const clock = createJumpingClock()
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const upstreams = [{ name: 'engine', url: scripted.url, key: null, concurrency: 1 }]
  const config = testConfig(folder, { upstreams, timing: { drainMs: 0 } })
  const slow = await startServer(config, { mayMovePort: false, env: { DW_STATE_DIR: folder }, clock })
  const gate = createGate()
  answering((call) => ({ gate: gate.opened, body: plainAnswer(call) }), t)
  const before = scripted.calls.length
  const ask = (): Promise<Response> =>
    fetch(`${slow.url}/v1/chat/completions`, { method: 'POST', body: CHAT })
  const held = ask()
  await scripted.arrived(before + 1)
  const waiting = ask()
  await gaugeIs('dw_realtime_waiting', 1, slow.url)
  clock.jump(REALTIME_WAIT_MS_MAX)
  const reply = await waiting
  assert.equal(reply.status, 503)
  assert.equal(((await reply.json()) as { error: { code: string } }).error.code, 'realtime_busy')
  gate.open()
  assert.equal((await held).status, 200)
  await slow.stop()
  rmSync(folder, { recursive: true })
})

test('where one of two upstreams cannot be connected to, the other answers, and nobody notices', async () => {
  const gone = await startScriptedUpstream({ models: ['m'] })
  const both = await startTestServer({
    upstreams: [
      { name: 'gone', url: gone.url, key: null, concurrency: 64 },
      { name: 'there', url: scripted.url, key: null, concurrency: 2 },
    ],
    timing: { retryDelayMs: 60_000, retryDelayMsMax: 60_000 },
  })
  await upstreamIsUp(both)
  await gone.stop()
  const reply = await fetch(`${both.url}/v1/chat/completions`, { method: 'POST', body: CHAT })
  assert.deepEqual([reply.status, reply.headers.get('dw-upstream')], [200, 'there'])
  await both.remove()
})

test('an upstream that falls silent is given up, and its permit is free again', async () => {
  const silent = await startScriptedUpstream({ models: ['m'], script: () => ({ breakAt: 'hang' }) })
  const patient = await startTestServer({ upstreamUrl: silent.url, timing: { stallMs: 50 } })
  await upstreamIsUp(patient)
  const reply = await fetch(`${patient.url}/v1/chat/completions`, { method: 'POST', body: CHAT })
  assert.equal(reply.status, 504)
  assert.equal(((await reply.json()) as { error: { code: string } }).error.code, 'upstream_timeout')
  await gaugeIs('dw_calls_in_flight', 0, patient.url)
  await patient.remove()
  await silent.stop()
})

test('an upstream that cannot be reached is named, and then so is its pause', async () => {
  const gone = await startScriptedUpstream({ models: ['m'] })
  const lonely = await startTestServer({
    upstreamUrl: gone.url,
    timing: { retryDelayMs: 60_000, retryDelayMsMax: 60_000 },
  })
  await upstreamIsUp(lonely)
  await gone.stop()
  const ask = async (): Promise<{ status: number; code: string; retry: string | null }> => {
    const reply = await fetch(`${lonely.url}/v1/chat/completions`, { method: 'POST', body: CHAT })
    const { error } = (await reply.json()) as { error: { code: string } }
    return { status: reply.status, code: error.code, retry: reply.headers.get('retry-after') }
  }
  assert.deepEqual(await ask(), { status: 502, code: 'upstream_unreachable', retry: '5' })
  assert.deepEqual(await ask(), { status: 503, code: 'upstream_unavailable', retry: '5' })
  const ready = (await (await fetch(`${lonely.url}/ready`)).json()) as { upstreams: unknown }
  assert.deepEqual(ready.upstreams, [
    { name: 'test', state: 'paused', reason: 'cannot be reached: ECONNREFUSED' },
  ])
  await lonely.remove()
})

test('a body that names no model, is no JSON, or is too large is refused in the usual shape', async () => {
  const before = scripted.calls.length
  for (const [body, status, code] of [
    ['{"messages":[]}', 400, 'missing_required_parameter'],
    ['{"model":7}', 400, 'invalid_type'],
    ['{"model":', 400, 'invalid_json'],
    ['', 400, 'invalid_json'],
    ['{"model":"nobody"}', 404, 'model_not_found'],
  ] as const) {
    const reply = await post(body)
    assert.equal(reply.status, status, body)
    assert.equal(((await reply.json()) as { error: { code: string } }).error.code, code)
  }
  const large = await post(Buffer.alloc(65 * 1024 * 1024, 32))
  assert.equal(large.status, 413)
  assert.equal(scripted.calls.length, before, 'nothing of it went upstream')
})

test('the routes also answer below /ai', async () => {
  assert.equal((await post(CHAT, '/ai/v1/chat/completions')).status, 200)
  assert.equal((await fetch(`${server.url}/ai/v1/models`)).status, 200)
  assert.equal((await fetch(`${server.url}/ai/health`)).status, 404)
})

test('a realtime call overtakes a batch that holds every permit and has thousands of lines waiting', async (t) => {
  const lines = 2_500
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set(
    'file',
    new Blob([jsonl(Array.from({ length: lines }, (_, n) => chatLine(n, { model: 'm' })))]),
    'a.jsonl',
  )
  const gate = createGate()
  const before = scripted.calls.length
  // The first lines hold both permits until the realtime call stands in the queue.
  answering(
    (call) => (call.body.includes('right now') ? null : { gate: gate.opened, body: plainAnswer(call) }),
    t,
  )
  const uploaded = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form })
  const { id } = (await uploaded.json()) as { id: string }
  const batch = await createBatch(server.url, id)
  await scripted.arrived(before + 2)
  const replies = [1, 2, 3].map(() => post(CHAT.replace('hello', 'right now')))
  await gaugeIs('dw_realtime_waiting', 3)
  const startedMs = performance.now()
  gate.open()
  for (const reply of await Promise.all(replies)) assert.equal(reply.status, 200)
  t.diagnostic(`first bytes after ${Math.round(performance.now() - startedMs)} ms`)
  const order = scripted.calls.slice(before).map(({ body }) => body.includes('right now'))
  assert.deepEqual(order.slice(0, 5), [false, false, true, true, true])
  const running = await batchWhen(server.url, batch.id, () => true)
  const done = running.request_counts.completed
  assert.ok(done < lines, `${done} of ${lines} lines were done`)
  const ended = await batchWhen(server.url, batch.id, ({ status }) => status === 'completed')
  assert.equal(ended.request_counts.completed, lines)
})

/** Looks at the metrics until the gauge says so. */
async function gaugeIs(name: string, value: number, url = server.url): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text()
    if (text.includes(`${name} ${value}\n`)) return
  }
}
