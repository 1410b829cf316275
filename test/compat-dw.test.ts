/** The existing `dw` client: each route it calls, answered by a real server, against what its decoder insists on. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { z } from 'zod'
import { batchWhen, createBatch } from './kit/batch-api.ts'
import { chatLine, jsonl, parseLines, writeChatFile } from './kit/requests.ts'
import { formOf, formType, startTestServer } from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'
import { createSandbox, run } from './kit/server-process.ts'

const optional = <T extends z.ZodType>(type: T) => type.nullish()
const text = z.string()
const whole = z.int()
const file = z.object({
  id: text.regex(/^[A-Za-z0-9_-]+$/),
  object: text,
  bytes: whole,
  created_at: whole,
  filename: text,
  purpose: text,
})
const batch = z.object({
  id: text.regex(/^[A-Za-z0-9_-]+$/),
  object: text,
  endpoint: text,
  input_file_id: text,
  completion_window: text,
  status: text,
  created_at: whole,
  output_file_id: optional(text),
  error_file_id: optional(text),
  in_progress_at: optional(whole),
  completed_at: optional(whole),
  failed_at: optional(whole),
  cancelled_at: optional(whole),
  cancelling_at: optional(whole),
  request_counts: optional(z.object({ total: whole, completed: whole, failed: whole })),
  metadata: optional(z.record(text, text)),
})
const listOf = (item: z.ZodType) =>
  z
    .object({
      data: z.array(item),
      has_more: z.boolean().optional(),
      last_id: optional(text),
      first_id: optional(text),
    })
    .refine(
      (list) => list.has_more !== true || typeof list.last_id === 'string',
      'a page with more has a last id',
    )
const estimate = z.object({
  file_id: text,
  total_requests: whole,
  total_estimated_input_tokens: whole,
  total_estimated_output_tokens: whole,
  total_estimated_cost: text,
  models: z.array(
    z.object({
      model: text,
      estimated_cost: text,
      request_count: whole,
      estimated_input_tokens: whole,
      estimated_output_tokens: whole,
    }),
  ),
})
const analytics = z.object({
  total_requests: whole,
  total_prompt_tokens: whole,
  total_completion_tokens: whole,
  total_tokens: whole,
  avg_duration_ms: optional(z.number()),
  avg_ttfb_ms: optional(z.number()),
  total_cost: optional(text),
})
const user = z.object({
  id: text,
  username: text,
  email: text,
  display_name: optional(text),
  user_type: optional(text),
  active_organization: optional(text),
  roles: optional(z.array(text)),
  credit_balance: optional(z.number()),
  organizations: optional(z.array(z.object({ id: text, name: optional(text), role: optional(text) }))),
})
const key = z.object({
  id: text,
  name: text,
  description: optional(text),
  purpose: optional(text),
  user_id: optional(text),
  created_by: optional(text),
  created_at: optional(text),
  last_used: optional(text),
})
const page = (item: z.ZodType) =>
  z.object({ data: z.array(item), total_count: whole, skip: whole, limit: whole })
const usage = z.object({
  total_input_tokens: whole,
  total_output_tokens: whole,
  total_request_count: whole,
  total_batch_count: whole,
  avg_requests_per_batch: z.number(),
  total_cost: text,
  estimated_realtime_cost: text,
  by_model: z.array(
    z.object({ model: text, input_tokens: whole, output_tokens: whole, cost: text, request_count: whole }),
  ),
})
const entry = z.object({
  id: whole,
  timestamp: text,
  method: text,
  uri: text,
  model: optional(text),
  response_type: optional(text),
  fusillade_batch_id: optional(text),
  input_price_per_token: optional(text),
  output_price_per_token: optional(text),
  custom_id: optional(text),
  status_code: optional(whole.max(65_535)),
  duration_ms: optional(whole),
  prompt_tokens: optional(whole),
  completion_tokens: optional(whole),
  total_tokens: optional(whole),
})
const webhook = z.object({
  id: text.regex(/^[A-Za-z0-9_-]+$/),
  user_id: text,
  url: text,
  created_at: text,
  updated_at: text,
  enabled: z.boolean(),
  event_types: optional(z.array(text)),
  description: optional(text),
})
const model = z.object({
  id: z.guid(),
  model_name: text,
  alias: text,
  description: optional(text),
  model_type: optional(text),
  created_at: optional(text),
  updated_at: optional(text),
  hosted_on: optional(text),
  capabilities: optional(z.array(text)),
  requests_per_second: optional(z.number()),
  burst_size: optional(z.int32()),
  capacity: optional(z.int32()),
  batch_capacity: optional(z.int32()),
})
const withSecret = webhook.extend({ secret: text })
const flat = z.object({ error: text, message: text })

const price = { window: '24h', inputPerMillion: '0.15', cachedInputPerMillion: null, outputPerMillion: '0.6' }
const many = Array.from({ length: 250 }, (_, number) => `model-${number}`)
const upstream = await startScriptedUpstream({
  models: ['m', 'e', ...many],
  script: ({ body }) =>
    body.includes('refuse me') ? { status: 400, body: { error: { message: 'no', code: 'bad' } } } : null,
})
const server = await startTestServer({
  upstreamUrl: upstream.url,
  webhooks: { isPrivateAllowed: true },
  prices: [{ ...price, model: 'm' }],
})
const sandbox = createSandbox()
after(async () => {
  await server.remove()
  await upstream.stop()
  sandbox.remove()
})

type Sending = { body?: unknown; headers?: Record<string, string>; status?: number; isPlain?: boolean }

/** As that client asks: with its two headers, and an empty body where it has nothing to say. */
async function ask<T extends z.ZodType>(
  schema: T,
  route: string,
  { body, headers = {}, status = 200, isPlain = false }: Sending = {},
): Promise<z.output<T>> {
  const [method = '', path = ''] = route.split(' ')
  const own = isPlain ? {} : { 'x-dw-cli-version': '0.1.23', 'user-agent': 'dw-cli/0.1.23' }
  const isForm = Buffer.isBuffer(body)
  const reply = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${server.ownerToken}`, ...own, ...headers },
    ...(body === undefined ? {} : { body: isForm ? new Uint8Array(body) : JSON.stringify(body) }),
  })
  const raw = await reply.text()
  assert.equal(reply.status, status, `${route}: ${raw}`)
  const parsed = schema.safeParse(JSON.parse(raw))
  assert.ok(parsed.success, `${route}: ${parsed.error?.message} in ${raw}`)
  return parsed.data
}

/** The file first, then its purpose. */
async function upload(content: string, filename = 'a "b" ü.jsonl'): Promise<string> {
  const body = formOf([
    { name: 'file', value: content, filename: filename.replaceAll('"', '%22') },
    { name: 'purpose', value: 'batch' },
  ])
  const made = await ask(file, 'POST /v1/files', { body, headers: formType })
  assert.equal(made.filename, filename)
  return made.id
}

const wanted = (id: string) => ({
  input_file_id: id,
  endpoint: '/v1/chat/completions',
  completion_window: '24h',
  metadata: { source: 'cli' },
})
const done = async (id: string): Promise<void> => {
  await batchWhen(server.url, id, ({ status }) => ['completed', 'failed', 'cancelled'].includes(status))
}
const inputId = await upload(
  jsonl([chatLine(1, { model: 'm' }), chatLine(2, { model: 'm', content: 'refuse me' })]),
)
const made = await ask(batch, 'POST /v1/batches', { body: wanted(inputId) })
await done(made.id)

test('files, batches, estimate and analytics have the fields and types that its decoder insists on', async () => {
  await ask(file, `GET /v1/files/${inputId}`)
  for (const query of ['limit=1', 'limit=100&purpose=batch', 'limit=20&purpose=batch_output'])
    await ask(listOf(file), `GET /v1/files?${query}`)
  await ask(estimate, `GET /v1/files/${inputId}/cost-estimate`)
  await ask(estimate, `GET /v1/files/${inputId}/cost-estimate?completion_window=1h`)
  await ask(listOf(batch), 'GET /v1/batches?limit=1&active_first=true')
  const ended = await ask(batch, `GET /v1/batches/${made.id}`)
  assert.deepEqual(ended.request_counts, { total: 2, completed: 1, failed: 1 })
  assert.deepEqual(ended.metadata, { source: 'cli' })
  const { total_cost: cost } = await ask(analytics, `GET /v1/batches/${made.id}/analytics`)
  assert.match(cost ?? '', /^\d+\.\d+$/)
  const retried = await ask(batch, `POST /v1/batches/${made.id}/retry`)
  await ask(analytics, `GET /v1/batches/${retried.id}/analytics`)
  await done(retried.id)
})

test('everything is at /ai/v1 as well', async () => {
  assert.equal((await ask(batch, `GET /ai/v1/batches/${made.id}`)).id, made.id)
  await ask(listOf(file), 'GET /ai/v1/files?limit=1')
})

test('content says in two headers how far it goes and whether more may come', async () => {
  const { output_file_id: outputId } = await ask(batch, `GET /v1/batches/${made.id}`)
  const read = async (query: string) => {
    const reply = await fetch(`${server.url}/v1/files/${outputId}/content${query}`)
    const headers = ['x-last-line', 'x-incomplete'].map((name) => reply.headers.get(name))
    return { headers, lines: parseLines(await reply.text()).length }
  }
  assert.deepEqual(await read('?skip=0'), { headers: ['1', 'false'], lines: 1 })
  assert.deepEqual(await read('?skip=1'), { headers: ['1', 'false'], lines: 0 })
  assert.deepEqual(await read('?offset=1'), { headers: ['1', 'false'], lines: 0 })
})

test('its header alone makes errors flat; everybody else gets the shape of OpenAI', async () => {
  const { message } = await ask(flat, 'GET /v1/batches/batch_none', { status: 404 })
  const nested = z.object({ error: z.object({ message: text, type: text }) })
  const plain = await ask(nested, 'GET /v1/batches/batch_none', { status: 404, isPlain: true })
  assert.equal(plain.error.message, message)
  await ask(flat, 'GET /v1/unknown', { status: 404 })
  await ask(flat, 'POST /v1/batches', { status: 400, body: { input_file_id: 7 } })
  await ask(flat, 'GET /v1/files', { status: 401, headers: { authorization: 'Bearer dw_wrong' } })
})

test('a file of another endpoint runs for its header alone', async () => {
  const line = { custom_id: 'e', method: 'POST', url: '/v1/embeddings', body: { model: 'e', input: 'x' } }
  const fileId = await upload(jsonl([line]))
  const tolerated = await ask(batch, 'POST /v1/batches', { body: wanted(fileId) })
  assert.equal(tolerated.endpoint, '/v1/embeddings')
  const refused = await createBatch(server.url, fileId)
  await done(tolerated.id)
  await done(refused.id)
  assert.notEqual((await ask(batch, `GET /v1/batches/${tolerated.id}`)).status, 'failed')
  assert.equal((await ask(batch, `GET /v1/batches/${refused.id}`)).status, 'failed')
})

test('a stream asks its engine for the usage that this client prints, and for no other client', async () => {
  const sent = async (headers: Record<string, string>): Promise<string> => {
    const before = upstream.calls.length
    const body = JSON.stringify({ model: 'm', stream: true, messages: [] })
    const reply = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers, body })
    await reply.text()
    return upstream.calls[before]?.body.toString('utf8') ?? ''
  }
  assert.match(await sent({ 'x-dw-cli-version': '0.1.23' }), /"include_usage":true/)
  assert.doesNotMatch(await sent({}), /include_usage/)
})

test('its admin routes know the caller, models in pages of a hundred, usage and requests', async () => {
  const admin = '/admin/api/v1'
  assert.equal((await ask(user, `GET ${admin}/users/current`)).id, 'local')
  const sizes = []
  const names = new Set<string>()
  for (let skip = 0; skip < 300; skip += 100) {
    const { data, total_count } = await ask(page(model), `GET ${admin}/models?skip=${skip}&limit=100`)
    sizes.push(data.length)
    assert.equal(total_count, 252)
    for (const one of data) names.add(model.parse(one).alias)
  }
  assert.deepEqual([sizes, names.size], [[100, 100, 52], 252])
  const priced = z.object({
    id: text,
    model_name: text,
    input_price_per_token: text,
    output_price_per_token: text,
  })
  const { data } = await ask(page(priced), `GET ${admin}/models?limit=100`)
  const prices = new Map(data.map((one) => [priced.parse(one).model_name, priced.parse(one)]))
  assert.equal(prices.get('m')?.input_price_per_token, '0.00000015')
  assert.equal(prices.get('e')?.input_price_per_token, 'not set')
  await ask(model, `GET ${admin}/models/${prices.get('m')?.id}`)

  const used = await ask(usage, `GET ${admin}/usage?start_date=2020-01-01T00:00:00Z`)
  assert.ok(used.total_request_count >= 3 && used.total_batch_count >= 2)
  assert.equal(used.by_model.find((one) => one.model === 'e')?.cost, 'not set')
  const entries = z.object({ entries: z.array(entry) })
  const all = await ask(entries, `GET ${admin}/requests?limit=100&skip=0`)
  assert.ok(all.entries.length >= 3)
  const of = `fusillade_batch_id=${made.id}`
  const failed = await ask(entries, `GET ${admin}/requests?limit=20&skip=0&${of}&status_code=400`)
  assert.deepEqual(
    failed.entries.map((one) => [one.model, one.status_code]),
    [['m', 400]],
  )
  const second = await ask(entries, `GET ${admin}/requests?limit=1&skip=1&${of}`)
  assert.equal(second.entries.length, 1)
  assert.equal((await ask(entries, `GET ${admin}/requests?skip=2&${of}`)).entries.length, 0)
})

test('webhooks come as a bare array, for whatever user the path names, and their secret only when made', async () => {
  const hooks = '/admin/api/v1/users/unknown/webhooks'
  const body = { url: 'http://127.0.0.1:9/', event_types: ['', 'batch.failed'], description: 'mine' }
  const { id, secret, event_types: events } = await ask(withSecret, `POST ${hooks}`, { body })
  assert.match(secret, /^whsec_/)
  assert.deepEqual(events, ['batch.failed'])
  await ask(withSecret, `POST ${hooks}`, { body: { url: body.url } })
  const listed = await ask(z.array(webhook.strict()), `GET ${hooks}`)
  assert.equal(listed.length, 2)
  assert.notEqual((await ask(withSecret, `POST ${hooks}/${id}/rotate-secret`)).secret, secret)
  await ask(z.unknown(), `DELETE ${hooks}/${id}`)
  await ask(flat, `DELETE ${hooks}/${id}`, { status: 404 })
})

test('the real client runs a batch, lists and reads it', {
  skip:
    process.env.DW_REFERENCE_BIN === undefined && 'DW_REFERENCE_BIN names no binary of the existing client',
}, async () => {
  const home = sandbox.path('home')
  mkdirSync(`${home}/.dw`, { recursive: true })
  const account = `[accounts.local]\nuser_id = "me"\ninference_key = "${server.ownerToken}"\nplatform_key = "${server.ownerToken}"\n`
  writeFileSync(`${home}/.dw/credentials.toml`, account, { mode: 0o600 })
  const servers = `active_account = "local"\n[servers]\nai = "${server.url}"\nadmin = "${server.url}"\n`
  writeFileSync(`${home}/.dw/config.toml`, servers)
  const path = sandbox.path('real.jsonl')
  writeChatFile(path, 5, { model: 'm' })
  const commands = [
    ['files', 'upload', path],
    ['files', 'list'],
    ['batches', 'list'],
    ['batches', 'get', made.id],
    ['batches', 'analytics', made.id],
    ['batches', 'results', made.id],
    ['models', 'list'],
    ['usage'],
    ['requests', 'list'],
    ['keys', 'list'],
    ['webhooks', 'list'],
    ['whoami'],
    ['stream', path],
  ]
  for (const words of commands) {
    const ran = await run(process.env.DW_REFERENCE_BIN ?? '', words, { env: { ...process.env, HOME: home } })
    assert.equal(ran.exitCode, 0, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`)
  }
})

test('keys are made, listed without their secret, and revoked, by the owner alone', async () => {
  const keys = '/admin/api/v1/users/current/api-keys'
  const secretKey = key.extend({ key: text })
  const { id, key: secret } = await ask(secretKey, `POST ${keys}`, {
    body: { name: 'ci', description: 'nightly' },
  })
  const listed = await ask(page(key.strict()), `GET ${keys}?skip=0&limit=100`)
  assert.deepEqual([listed.total_count, listed.data.length], [1, 1])
  const own = { authorization: `Bearer ${secret}` }
  assert.equal((await ask(batch, `GET /v1/batches/${made.id}`, { headers: own })).id, made.id)
  await ask(flat, `POST ${keys}`, { body: { name: 'more' }, headers: own, status: 403 })
  await ask(z.unknown(), `DELETE ${keys}/${id}`)
  assert.equal((await ask(page(key), `GET ${keys}`)).total_count, 0)
})
