/**
 * One tenant and what belongs to another, on every route of the running server. The routes are those that the framework
 * registers, so that a new one fails here until it has a row.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { formOf, formType, startTestServer } from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'

const INITIALISED = 'fastify.initialization'
const routes = new Set<string>()
const onApp = (message: unknown): void => {
  // The framework publishes each new instance in this form.
  const { fastify } = message as { fastify: FastifyInstance }
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.add(`${one} ${url}`)
  })
}
subscribe(INITIALISED, onApp)
const held = Promise.withResolvers<void>()
const upstream = await startScriptedUpstream({
  models: ['plain', 'held'],
  script: ({ body }) => {
    const text = body.toString('utf8')
    if (text.includes('refuse me')) return { status: 400, body: { error: { message: 'no', code: 'bad' } } }
    return text.includes('"held"') ? { gate: held.promise } : null
  },
})
const server = await startTestServer({
  isKeyRequired: true,
  upstreamUrl: upstream.url,
  timing: { drainMs: 0 },
})
unsubscribe(INITIALISED, onApp)
after(async () => {
  held.resolve()
  await server.remove()
  await upstream.stop()
})

type Answer = { status: number; text: string; headers: Headers }
type Sending = {
  key: string | null
  method: string
  path: string
  body?: string | undefined
  headers?: Record<string, string> | undefined
}

async function send({ key, method, path, body, headers }: Sending): Promise<Answer> {
  const reply = await fetch(`${server.url}${path}`, {
    method,
    headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
    ...(body === undefined ? {} : { body }),
  })
  return { status: reply.status, text: await reply.text(), headers: reply.headers }
}

async function made<T extends Record<string, unknown>>(sending: Sending): Promise<T> {
  const reply = await send(sending)
  assert.equal(reply.status, 200, reply.text)
  // The caller names the shape of what the route answers.
  return JSON.parse(reply.text) as T
}

type MadeKey = { id: string; key: string; tenant: string }
const newKey = (name: string): Promise<MadeKey> =>
  made({
    key: server.ownerToken,
    method: 'POST',
    path: '/admin/v1/keys',
    body: JSON.stringify({ name, tenant: name }),
  })
const [keyA, keyB, revoked] = await Promise.all(['alpha', 'beta', 'gamma'].map(newKey))
assert.ok(keyA !== undefined && keyB !== undefined && revoked !== undefined)
await made({ key: server.ownerToken, method: 'DELETE', path: `/admin/v1/keys/${revoked.id}` })

const lineOf = (id: string, model: string, content: string): string =>
  `${JSON.stringify({
    custom_id: id,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages: [{ role: 'user', content }] },
  })}\n`
const uploadForm = (content: string): string =>
  formOf([
    { name: 'purpose', value: 'batch' },
    { name: 'file', value: content, filename: 'a.jsonl' },
  ]).toString('utf8')
const upload = async (key: string, content: string): Promise<string> => {
  const sending = { key, method: 'POST', path: '/v1/files', headers: formType, body: uploadForm(content) }
  return (await made<{ id: string }>(sending)).id
}

type Batch = { id: string; status: string; output_file_id: string; error_file_id: string }
const IDEMPOTENCY = { 'idempotency-key': 'the same for both tenants' }
const batchBody = (fileId: string): string =>
  JSON.stringify({ input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h' })
const create = (key: string, fileId: string, headers?: Record<string, string>): Promise<Batch> =>
  made({ key, method: 'POST', path: '/v1/batches', body: batchBody(fileId), headers })

async function when(key: string, id: string, isWanted: (batch: Batch) => boolean): Promise<Batch> {
  const batch = await made<Batch>({ key, method: 'GET', path: `/v1/batches/${id}` })
  return isWanted(batch) ? batch : when(key, id, isWanted)
}

const SECRET = 'what only alpha may know'
const fileOfA = await upload(
  keyA.key,
  lineOf('a-1', 'plain', SECRET) + lineOf('a-2', 'plain', 'refuse me') + lineOf('a-3', 'plain', SECRET),
)
const brokenOfA = await upload(keyA.key, `{"${SECRET}"\n`)
const endedOfA = await create(keyA.key, fileOfA, IDEMPOTENCY)
const ended = await when(keyA.key, endedOfA.id, ({ status }) => status === 'completed')
const heldFileOfA = await upload(keyA.key, lineOf('a-4', 'held', SECRET))
const liveOfA = await create(keyA.key, heldFileOfA)
await when(keyA.key, liveOfA.id, ({ status }) => status === 'in_progress')
const fileOfB = await upload(keyB.key, lineOf('b-1', 'plain', 'beta'))

/** What a route gives to whom. `path` and `body` take the id that they name. */
type Row = {
  /** none: no key is needed. shared: the same for every tenant. list: what the tenant has. object: one thing of a tenant. admin: the owner's. */
  kind: 'none' | 'shared' | 'list' | 'object' | 'admin'
  path: (id: string) => string
  body?: (id: string) => string
  headers?: Record<string, string>
  /** Things of tenant A that the route could be asked for. */
  ids?: readonly string[]
  /** The reply for a thing that does not exist, where it is no 404. */
  absentStatus?: number
}

const webhookBody = JSON.stringify({ url: 'https://example.com/', event_types: ['batch.failed'] })
const webhookOfA = await made<{ id: string }>({
  key: keyA.key,
  method: 'POST',
  path: '/v1/webhook_endpoints',
  body: webhookBody,
})

const fileIds = [fileOfA, brokenOfA, heldFileOfA, ended.output_file_id, ended.error_file_id]
const batchIds = [ended.id, liveOfA.id]
const ofFile = (more: string, others: readonly string[] = ['']): Row => ({
  kind: 'object',
  path: (id) => `/v1/files/${id}${more}`,
  ids: others.flatMap((query) => fileIds.map((id) => `${id}${query}`)),
})
const ofBatch = (more: string): Row => ({
  kind: 'object',
  path: (id) => `/v1/batches/${id}${more}`,
  ids: batchIds,
})
const ofWebhook = (more: string, body?: Record<string, unknown>): Row => ({
  kind: 'object',
  path: (id) => `/v1/webhook_endpoints/${id}${more}`,
  ids: [webhookOfA.id],
  ...(body === undefined ? {} : { body: () => JSON.stringify(body) }),
})
const none = (path: string): Row => ({ kind: 'none', path: () => path })
const shared = (path: string): Row => ({ kind: 'shared', path: () => path })
const admin = (path: string, body?: Record<string, unknown>): Row => ({
  kind: 'admin',
  path: () => path,
  ...(body === undefined ? {} : { body: () => JSON.stringify(body) }),
})

/** The routes of the existing client. */
function compatRows(keyId: string): Record<string, Row> {
  const base = '/admin/api/v1'
  const user = `${base}/users/:user/webhooks`
  const hook = (more: string): Row => ({
    kind: 'object',
    path: (id) => `${base}/users/alpha/webhooks/${id}${more}`,
    ids: [webhookOfA.id],
  })
  const keys = `${base}/users/current/api-keys`
  return {
    [`GET ${base}/users/current`]: shared(`${base}/users/current`),
    [`GET ${base}/models`]: shared(`${base}/models`),
    [`GET ${base}/models/:id`]: shared(`${base}/models/none`),
    [`GET ${base}/usage`]: { kind: 'list', path: () => `${base}/usage`, ids: [] },
    [`GET ${base}/requests`]: { kind: 'list', path: () => `${base}/requests`, ids: [] },
    [`GET ${user}`]: { kind: 'list', path: () => `${base}/users/alpha/webhooks`, ids: [webhookOfA.id] },
    [`POST ${user}`]: { ...shared(`${base}/users/alpha/webhooks`), body: () => webhookBody },
    [`DELETE ${user}/:id`]: hook(''),
    [`POST ${user}/:id/rotate-secret`]: hook('/rotate-secret'),
    [`GET ${keys}`]: admin(keys),
    [`POST ${keys}`]: admin(keys, { name: 'mine' }),
    [`DELETE ${keys}/:id`]: admin(`${keys}/${keyId}`),
  }
}

const table: Record<string, Row> = {
  'GET /health': none('/health'),
  'GET /ready': none('/ready'),
  'GET /metrics': none('/metrics'),
  'GET /v1/models': shared('/v1/models'),
  'GET /v1/models/:id': shared('/v1/models/plain'),
  'GET /v1/models/*': shared('/v1/models/plain/'),
  'GET /v1/whoami': shared('/v1/whoami'),
  ...Object.fromEntries(
    ['chat/completions', 'completions', 'embeddings', 'responses'].map((name) => [
      `POST /v1/${name}`,
      { ...shared(`/v1/${name}`), body: () => '{"model":"plain"}' },
    ]),
  ),
  'POST /v1/files': {
    kind: 'shared',
    path: () => '/v1/files',
    headers: formType,
    body: () => uploadForm(lineOf('x', 'plain', 'x')),
  },
  'GET /v1/files': { kind: 'list', path: (id) => `/v1/files?after=${id}`, ids: fileIds },
  'GET /v1/files/:id': ofFile(''),
  'DELETE /v1/files/:id': ofFile(''),
  'GET /v1/files/:id/content': ofFile('/content'),
  'GET /v1/files/:id/findings': ofFile('/findings'),
  'GET /v1/files/:id/cost-estimate': ofFile('/cost-estimate'),
  'POST /v1/batches': {
    kind: 'object',
    path: () => '/v1/batches',
    body: batchBody,
    ids: fileIds,
    headers: IDEMPOTENCY,
    // The wire has no 404 here: the batch is made, and fails for want of its file.
    absentStatus: 200,
  },
  'GET /v1/batches': { kind: 'list', path: (id) => `/v1/batches?after=${id}`, ids: batchIds },
  'GET /v1/batches/:id': ofBatch(''),
  'POST /v1/batches/:id/cancel': ofBatch('/cancel'),
  'POST /v1/batches/:id/retry': ofBatch('/retry'),
  'GET /v1/batches/:id/analytics': ofBatch('/analytics'),
  'GET /v1/batches/:id/requests': ofBatch('/requests'),
  'GET /v1/batches/:id/requests/:custom_id': ofBatch('/requests/request-1'),
  'GET /v1/analytics': { kind: 'object', path: (id) => `/v1/analytics?batch=${id}`, ids: batchIds },
  'GET /v1/usage': { kind: 'list', path: () => '/v1/usage?by=batch', ids: batchIds },
  'GET /admin/v1/prices': admin('/admin/v1/prices'),
  'POST /admin/v1/prices': admin('/admin/v1/prices', {
    prices: [{ model: 'plain', window: '24h', input_per_million: '1', output_per_million: '2' }],
  }),
  'GET /v1/webhook_event_types': shared('/v1/webhook_event_types'),
  'POST /v1/webhook_endpoints': { ...shared('/v1/webhook_endpoints'), body: () => webhookBody },
  'GET /v1/webhook_endpoints': {
    kind: 'list',
    path: () => '/v1/webhook_endpoints',
    ids: [webhookOfA.id],
  },
  'GET /v1/webhook_endpoints/:id': ofWebhook(''),
  'POST /v1/webhook_endpoints/:id': ofWebhook('', { name: 'mine' }),
  'DELETE /v1/webhook_endpoints/:id': ofWebhook(''),
  'POST /v1/webhook_endpoints/:id/rotate_secret': ofWebhook('/rotate_secret'),
  'POST /v1/webhook_endpoints/:id/test': ofWebhook('/test', { event_type: 'batch.failed' }),
  'GET /v1/webhook_endpoints/:id/deliveries': ofWebhook('/deliveries'),
  'POST /v1/webhook_endpoints/:id/deliveries/:delivery/resend': ofWebhook('/deliveries/wh_1/resend'),
  ...compatRows(keyA.id),
  'GET /admin/v1/upstreams': admin('/admin/v1/upstreams'),
  'POST /admin/v1/upstreams': admin('/admin/v1/upstreams', { url: 'http://127.0.0.1:9/v1', name: 'mine' }),
  'DELETE /admin/v1/upstreams/:name': admin('/admin/v1/upstreams/test'),
  'POST /admin/v1/upstreams/:name/test': admin('/admin/v1/upstreams/test/test'),
  'GET /admin/v1/keys': admin('/admin/v1/keys'),
  'POST /admin/v1/keys': admin('/admin/v1/keys', { name: 'mine', tenant: 'alpha' }),
  'DELETE /admin/v1/keys/:id': admin(`/admin/v1/keys/${keyA.id}`),
}

/** The framework answers HEAD wherever it answers GET. */
const rowOf = (route: string): Row | undefined => table[route.replace(/^HEAD /, 'GET ')]
const rows = [...routes].map((route) => {
  const [method = ''] = route.split(' ')
  return { route, method, row: rowOf(route) ?? assert.fail(`${route} needs a row in the table of this test`) }
})

test('every route of the server has a row, and every row is a route', () => {
  assert.ok(routes.size > 20, 'the routes were seen as they were added')
  assert.deepEqual(
    Object.keys(table).filter((route) => !routes.has(route)),
    [],
  )
})

const sendingOf = (
  { method, row }: { method: string; row: Row },
  { key, id }: { key: string | null; id: string },
): Sending => ({
  key,
  method,
  path: row.path(id),
  headers: row.headers,
  body: row.body?.(id),
})

const strangers: Record<string, string | null> = {
  'no key': null,
  'a wrong key': `${keyA.key.slice(0, -4)}2222`,
  'a revoked key': revoked.key,
  'a key of another form': 'sk-something-else',
  'an owner token that is wrong': `${server.ownerToken.slice(0, -4)}2222`,
}

for (const { route, method, row } of rows) {
  if (row.kind === 'none') continue
  test(`${route} is closed without a key that holds`, async () => {
    for (const [name, key] of Object.entries(strangers)) {
      const reply = await send(sendingOf({ method, row }, { key, id: row.ids?.[0] ?? '' }))
      assert.equal(reply.status, 401, `${name}: ${reply.text}`)
      assert.doesNotMatch(reply.text, new RegExp(`alpha|${SECRET}`))
      if (key !== null) assert.ok(!reply.text.includes(key), `${name} is not repeated`)
    }
  })
}

/** A reply with everything taken out that differs from one request to the next: ids, instants. */
function comparable(reply: Answer, id: string): { status: number; text: string; headers: string[] } {
  const changing = new Set(['x-request-id', 'date', 'content-length', 'etag'])
  const text = reply.text
    .replaceAll(id, 'ID')
    .replaceAll(/batch_[a-z2-7]{26}/g, 'BATCH')
    .replaceAll(/"(created_at|expires_at|in_progress_at|failed_at|cancelling_at)":\d+/g, '"$1":0')
  const headers = [...reply.headers].filter(([name]) => !changing.has(name))
  return { status: reply.status, text, headers: headers.map(([name, value]) => `${name}: ${value}`) }
}

/** Of the right form, and never given out. */
const absentFor = (id: string): string => {
  const prefix = id.startsWith('batch_') ? 'batch_' : 'file-'
  return prefix + 'a'.repeat(id.length - prefix.length)
}

for (const { route, method, row } of rows) {
  if (row.kind !== 'object') continue
  test(`${route} tells one tenant nothing of another's, not even that it is there`, async () => {
    for (const id of row.ids ?? []) {
      const absent = absentFor(id)
      // Each create is a first one: a repeated key would give back the batch of the create before.
      const once = (at: string): Sending => {
        const sending = sendingOf({ method, row }, { key: keyB.key, id: at })
        return row.headers === undefined
          ? sending
          : { ...sending, headers: { 'idempotency-key': randomUUID() } }
      }
      const [theirs, nothing] = [await send(once(id)), await send(once(absent))]
      assert.equal(theirs.status, row.absentStatus ?? 404, `${id}: ${theirs.text}`)
      assert.deepEqual(comparable(theirs, id), comparable(nothing, absent))
    }
  })
}

for (const { route, method, row } of rows) {
  if (row.kind !== 'list') continue
  test(`${route} lists what the tenant has, wherever it begins`, async () => {
    const listed = await send({
      key: keyB.key,
      method,
      path: row.path('').replace('?after=', '?limit=100'),
    })
    assert.equal(listed.status, 200)
    // Not by its bare id: a batch shows what its own tenant wrote into it.
    for (const id of [...fileIds, ...batchIds]) assert.ok(!listed.text.includes(`"id":"${id}"`))
    for (const id of row.ids ?? []) {
      const begun = await send(sendingOf({ method, row }, { key: keyB.key, id }))
      const absent = absentFor(id)
      const other = await send(sendingOf({ method, row }, { key: keyB.key, id: absent }))
      assert.deepEqual(comparable(begun, id), comparable(other, absent))
    }
  })
}

for (const { route, method, row } of rows) {
  if (row.kind !== 'admin') continue
  test(`${route} is the owner's alone`, async () => {
    const reply = await send(sendingOf({ method, row }, { key: keyB.key, id: '' }))
    assert.equal(reply.status, 403)
    assert.doesNotMatch(reply.text, /alpha|127\.0\.0\.1/)
  })
}

test('an Idempotency-Key of one tenant finds nothing of another', async () => {
  const own = await create(keyB.key, fileOfB, IDEMPOTENCY)
  assert.notEqual(own.id, ended.id)
  assert.equal((await create(keyB.key, fileOfB, IDEMPOTENCY)).id, own.id)
  assert.equal((await create(keyA.key, fileOfA, IDEMPOTENCY)).id, ended.id)
})

test('a batch made of a file of another tenant fails, and shows nothing of it', async () => {
  const batch = await create(keyB.key, fileOfA)
  const failed = await when(keyB.key, batch.id, ({ status }) => status !== 'validating')
  assert.equal(failed.status, 'failed')
  const absent = await create(keyB.key, absentFor(fileOfA))
  const other = await when(keyB.key, absent.id, ({ status }) => status !== 'validating')
  const errorsOf = (shown: object): unknown => ('errors' in shown ? shown.errors : null)
  const text = (shown: object, id: string): string => JSON.stringify(errorsOf(shown)).replaceAll(id, 'ID')
  assert.equal(text(failed, fileOfA), text(other, absentFor(fileOfA)))
})

test('after all of that, everything of the first tenant is as it was', async () => {
  const get = (path: string): Promise<Answer> => send({ key: keyA.key, method: 'GET', path })
  assert.deepEqual(JSON.parse((await get(`/v1/batches/${ended.id}`)).text), ended)
  assert.equal(JSON.parse((await get(`/v1/batches/${liveOfA.id}`)).text).status, 'in_progress')
  const contents = await Promise.all(fileIds.map((id) => get(`/v1/files/${id}/content`)))
  assert.deepEqual(
    contents.map(({ status }) => status),
    fileIds.map(() => 200),
  )
  assert.ok(contents[0]?.text.includes(SECRET))
  const listed = JSON.parse((await get('/v1/batches')).text)
  assert.deepEqual(listed.data.map(({ id }: Batch) => id).toSorted(), batchIds.toSorted())
  const kept = await send({ key: server.ownerToken, method: 'GET', path: '/admin/v1/upstreams' })
  assert.deepEqual(
    JSON.parse(kept.text).data.map(({ name }: { name: string }) => name),
    ['test'],
  )
})

test('an owner token opens the routes of the owner, and no batch of a tenant', async () => {
  for (const path of ['/admin/v1/upstreams', '/admin/v1/keys'])
    assert.equal((await send({ key: server.ownerToken, method: 'GET', path })).status, 200)
  const reply = await send({ key: server.ownerToken, method: 'GET', path: `/v1/batches/${ended.id}` })
  assert.equal(reply.status, 404)
})
