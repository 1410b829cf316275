import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { startTestServer, type TestConfig, type TestServer } from '../../test/kit/running-server.ts'
import { type ScriptedUpstream, startScriptedUpstream } from '../../test/kit/scripted-upstream.ts'
import type { WireErrorBody, WireKey, WireUpstream } from '../contract/wire.ts'

let upstream: ScriptedUpstream
const running: TestServer[] = []

before(async () => {
  upstream = await startScriptedUpstream({ models: ['test'] })
})
afterEach(async () => {
  for (const server of running.splice(0)) await server.remove()
})
after(() => upstream.stop())

async function start(config: TestConfig = {}): Promise<TestServer> {
  const server = await startTestServer(config)
  running.push(server)
  return server
}

async function call<T = WireErrorBody>(
  server: TestServer,
  method: string,
  path: string,
  options: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: T; text: string }> {
  const authorization = options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }
  const reply = await fetch(server.url + path, {
    method,
    headers: { ...authorization, ...options.headers },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  })
  const text = await reply.text()
  // The caller states the shape of the reply.
  return { status: reply.status, body: JSON.parse(text) as T, text }
}

function newKey(server: TestServer, body: Record<string, unknown>) {
  return call<WireKey>(server, 'POST', '/admin/v1/keys', { key: server.ownerToken, body })
}

test('the routes of the owner need the owner token', async () => {
  const server = await start()
  const routes: [string, string][] = [
    ['GET', '/admin/v1/upstreams'],
    ['POST', '/admin/v1/upstreams'],
    ['DELETE', '/admin/v1/upstreams/x'],
    ['POST', '/admin/v1/upstreams/x/test'],
    ['GET', '/admin/v1/keys'],
    ['POST', '/admin/v1/keys'],
    ['DELETE', '/admin/v1/keys/x'],
  ]
  for (const [method, path] of routes) {
    for (const key of [undefined, 'sk-anything']) {
      const answer = await call(server, method, path, key === undefined ? {} : { key })
      assert.deepEqual([answer.status, answer.body.error.code], [403, 'owner_only'], `${method} ${path}`)
    }
  }
})

test('open mode ends for good with the first tenant key, and the tenants see only their own', async () => {
  const server = await start()
  const models = (key?: string) => call(server, 'GET', '/v1/models', key === undefined ? {} : { key })
  assert.equal((await models()).status, 200)
  const made = await newKey(server, { name: 'ci', tenant: 'acme' })
  const secret = made.body.key ?? assert.fail('no secret')
  assert.match(secret, /^dw_/)
  assert.equal(made.body.tail, secret.slice(-4))
  assert.deepEqual(
    [(await models()).status, (await models('sk-anything')).status, (await models(secret)).status],
    [401, 401, 200],
  )
  const other = (await newKey(server, { name: 'other' })).body.key ?? ''
  const batch = await call<{ id: string }>(server, 'POST', '/v1/batches', {
    key: secret,
    body: { input_file_id: 'f', endpoint: '/v1/embeddings', completion_window: '24h' },
  })
  const path = `/v1/batches/${batch.body.id}`
  const foreign = await call(server, 'GET', path, { key: other })
  assert.equal(foreign.status, 404)
  assert.equal(foreign.body.error.message, `No batch found with id '${batch.body.id}'.`)
  assert.equal((await call(server, 'GET', path, { key: secret })).status, 200)

  const revoke = (id: string) => call(server, 'DELETE', `/admin/v1/keys/${id}`, { key: server.ownerToken })
  assert.equal((await revoke(made.body.id)).status, 200)
  assert.equal((await revoke('key_unknown')).status, 404)
  const refused = await models(secret)
  assert.deepEqual([refused.status, refused.body.error.code], [401, 'invalid_api_key'])
  assert.doesNotMatch(refused.text, new RegExp(secret))
  assert.equal((await models()).status, 401)
})

test('a key is shown once, and never in a list', async () => {
  const server = await start()
  const secret = (await newKey(server, { name: 'ci' })).body.key ?? assert.fail('no secret')
  const list = await call(server, 'GET', '/admin/v1/keys', { key: server.ownerToken })
  assert.equal(list.status, 200)
  assert.ok(!list.text.includes(secret))
  for (const body of [
    {},
    { name: '' },
    { name: 'x', expires_at: 1 },
    { name: 'x', tenant: 'a b' },
    { name: 'x', y: 1 },
  ])
    assert.equal((await newKey(server, body)).status, 400, JSON.stringify(body))
})

test('a server that demands a key makes a first one, and nobody comes in without', async () => {
  const server = await start({ isKeyRequired: true })
  const key = server.firstKey ?? assert.fail('no first key')
  const models = (given?: string) =>
    call(server, 'GET', '/v1/models', given === undefined ? {} : { key: given })
  const none = await models()
  assert.equal(none.status, 401)
  assert.match(none.body.error.message, /^You didn't provide an API key\./)
  assert.deepEqual([none.body.error.param, none.body.error.code], [null, null])
  const wrong = await models('sk-wrongkeyhere')
  assert.match(wrong.body.error.message, /^Incorrect API key provided: sk-\*\*\*\*here\./)
  assert.deepEqual([wrong.status, wrong.body.error.code], [401, 'invalid_api_key'])
  assert.equal((await models(key)).status, 200)
  assert.equal((await models(server.ownerToken)).status, 200)
  for (const path of ['/health', '/ready']) assert.equal((await call(server, 'GET', path)).status, 200)
  // A key that is known makes the name of the host no matter.
  const named = await call(server, 'GET', '/v1/models', {
    key,
    headers: { origin: 'http://elsewhere.example' },
  })
  assert.equal(named.status, 200)
})

test('a page of another origin reaches nothing without a key', async () => {
  const server = await start()
  const headers = { origin: 'http://elsewhere.example' }
  for (const [method, path] of [
    ['GET', '/v1/models'],
    ['POST', '/v1/batches'],
    ['POST', '/v1/files'],
    ['DELETE', '/v1/files/x'],
  ] as const) {
    const answer = await call(server, method, path, { headers })
    assert.deepEqual([answer.status, answer.body.error.code], [403, 'wrong_origin'])
  }
  const own = await call(server, 'GET', '/v1/models', { headers: { origin: server.url } })
  assert.equal(own.status, 200)
})

test('engines are added, tried and removed, and their keys are never told', async () => {
  const server = await start()
  const admin = <T>(method: string, path: string, body?: unknown) =>
    call<T>(server, method, `/admin/v1/upstreams${path}`, { key: server.ownerToken, body })
  const added = await admin<WireUpstream>('POST', '', {
    name: 'a',
    url: upstream.url,
    key: 'sk-engine',
    concurrency: 4,
  })
  assert.equal(added.status, 200, added.text)
  assert.deepEqual(
    [added.body.name, added.body.has_key, added.body.concurrency, added.body.models],
    ['a', true, 4, ['test']],
  )
  const list = await admin<{ data: WireUpstream[] }>('GET', '')
  assert.deepEqual(
    list.body.data.map(({ name }) => name),
    ['a'],
  )
  assert.ok(![added.text, list.text].some((text) => text.includes('sk-engine')))
  assert.equal((await admin<WireUpstream>('POST', '/a/test')).body.state, 'up')
  assert.equal((await admin('POST', '/b/test')).status, 404)
  assert.equal((await admin('POST', '', { name: 'a', url: upstream.url })).status, 409)
  for (const body of [
    {},
    { url: '' },
    { url: 'ftp://x' },
    { url: 'nonsense' },
    { url: upstream.url, key_env: 'HOME' },
  ])
    assert.equal((await admin('POST', '', body)).status, 400, JSON.stringify(body))
  assert.equal((await admin('DELETE', '/a')).status, 200)
  assert.equal((await admin('DELETE', '/a')).status, 404)
})
