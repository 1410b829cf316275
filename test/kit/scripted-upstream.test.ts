import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import {
  createGate,
  errorReply,
  type ScriptedOptions,
  type ScriptedUpstream,
  startScriptedUpstream,
} from './scripted-upstream.ts'

let upstream: ScriptedUpstream | null = null
afterEach(() => upstream?.stop())

async function start(options: Partial<ScriptedOptions> = {}): Promise<ScriptedUpstream> {
  upstream = await startScriptedUpstream({ models: ['m'], ...options })
  return upstream
}

function ask(url: string, key: string): Promise<Response> {
  return fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { 'idempotency-key': key, 'x-request-id': 'r1', authorization: 'Bearer k' },
    body: `{"key":"${key}"}`,
  })
}

test('calls are recorded and counted per line', async () => {
  const { url, calls, callsByKey } = await start()
  for (const key of ['a', 'b', 'a']) await (await ask(url, key)).arrayBuffer()
  assert.deepEqual(
    [...callsByKey],
    [
      ['a', 2],
      ['b', 1],
    ],
  )
  assert.deepEqual(
    calls.map((call) => [call.key, call.attempt, call.requestId, call.authorization]),
    [
      ['a', 0, 'r1', 'Bearer k'],
      ['b', 0, 'r1', 'Bearer k'],
      ['a', 1, 'r1', 'Bearer k'],
    ],
  )
  assert.equal(calls[0]?.body.toString(), '{"key":"a"}')
})

test('a reply waits for its gate', async () => {
  const gate = createGate()
  const { url, arrived, inFlight } = await start({ script: () => ({ gate: gate.opened, body: 'done' }) })
  const asked = ask(url, 'a')
  await arrived(1)
  assert.equal(inFlight(), 1)
  gate.open()
  assert.equal(await (await asked).text(), 'done')
})

test('errors carry their status and headers', async () => {
  const { url } = await start({
    script: () => ({ ...errorReply(429, { code: 'rate_limit_exceeded' }), headers: { 'retry-after': '1' } }),
  })
  const reply = await ask(url, 'a')
  assert.equal(reply.status, 429)
  assert.equal(reply.headers.get('retry-after'), '1')
})

for (const breakAt of ['reset', 'reset-in-headers', 'reset-in-body'] as const) {
  test(`a connection breaks at: ${breakAt}`, async () => {
    const { url } = await start({ script: () => ({ breakAt, body: 'a long body' }) })
    await assert.rejects(async () => (await ask(url, 'a')).text())
  })
}

test('a body shorter than its content-length is sent as it is', async () => {
  const { url } = await start({ script: () => ({ contentLength: 100, body: 'short' }) })
  await assert.rejects(async () => (await ask(url, 'a')).text())
})

for (const breakAt of ['hang', 'hang-in-headers', 'hang-in-body'] as const) {
  test(`a reply hangs at: ${breakAt}`, async () => {
    const { url, arrived } = await start({ script: () => ({ breakAt, body: 'a long body' }) })
    const outcome = ask(url, 'a')
      .then((reply) => reply.text())
      .then(
        () => 'answered',
        () => 'cut',
      )
    await arrived(1)
    await upstream?.stop()
    assert.equal(await outcome, 'cut')
  })
}
