/** Webhooks of the running server, with a real receiver and the official client. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import OpenAI from 'openai'
import { ask, batchWhen, createBatch } from './kit/batch-api.ts'
import { chatLine, jsonl } from './kit/requests.ts'
import { startTestServer } from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'
import { configFlags, createSandbox, startServerProcess } from './kit/server-process.ts'

type Received = { headers: IncomingHttpHeaders; body: string; at: number }
type Event = {
  type: string
  data: { id: string; status?: string; request_counts?: Record<string, number> }
}

/** Answers with what the script says, by the number of the call; keeps what came. */
async function startReceiver(script: (call: number) => number = () => 200) {
  const received: Received[] = []
  let wake = Promise.withResolvers<void>()
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    received.push({ headers: request.headers, body, at: performance.now() })
    response.writeHead(script(received.length), { location: 'http://127.0.0.1:9/' }).end('as the script says')
    wake.resolve()
    wake = Promise.withResolvers()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // Listening on TCP, so the address is of that kind.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    async arrived(count: number): Promise<void> {
      while (received.length < count) await wake.promise
    },
    stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  }
}

const upstream = await startScriptedUpstream({
  models: ['m'],
  script: ({ body }) =>
    body.includes('refuse me') ? { status: 400, body: { error: { message: 'no' } } } : null,
})
const server = await startTestServer({ upstreamUrl: upstream.url, webhooks: { isPrivateAllowed: true } })
const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
after(async () => {
  await server.remove()
  await upstream.stop()
})

async function startBatch(url: string, lines: readonly unknown[]): Promise<string> {
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob([jsonl(lines)]), 'a.jsonl')
  const { id } = await ask<{ id: string }>(`${url}/v1/files`, { method: 'POST', body: form })
  return (await createBatch(url, id)).id
}

test('R34: the end of a batch arrives signed, within a second, and the official client unwraps it', async () => {
  const receiver = await startReceiver()
  const webhook = await openai.webhooks.create({
    name: 'ends',
    url: receiver.url,
    event_types: ['batch.completed'],
  })
  assert.match(webhook.signing_secret, /^whsec_/)
  const id = await startBatch(server.url, [
    chatLine(1, { model: 'm' }),
    chatLine(2, { model: 'm', content: 'refuse me' }),
  ])
  await batchWhen(server.url, id, ({ status }) => status === 'completed')
  const completedAt = performance.now()
  await receiver.arrived(1)
  const [got] = receiver.received
  assert.ok(got !== undefined && got.at - completedAt < 1_000)
  const event = await openai.webhooks.unwrap(
    got.body,
    got.headers as Record<string, string>,
    webhook.signing_secret,
  )
  assert.equal(event.type, 'batch.completed')
  // Ours tells more of the batch than the client's type.
  const { data } = event as Event
  assert.equal(data.id, id)
  assert.equal(data.status, 'completed')
  assert.deepEqual(data.request_counts, { total: 2, completed: 1, failed: 1, expired: 0, cancelled: 0 })
  await assert.rejects(
    openai.webhooks.unwrap(`${got.body} `, got.headers as Record<string, string>, webhook.signing_secret),
  )
  await openai.webhooks.delete(webhook.id)
  await receiver.stop()
})

test('R34: an attempt that fails is tried again under the same id, and the log shows each', async () => {
  const receiver = await startReceiver((call) => (call === 1 ? 307 : 200))
  const webhook = await openai.webhooks.create({
    name: 'slow',
    url: receiver.url,
    event_types: ['batch.failed'],
  })
  const id = await startBatch(server.url, [{ custom_id: 'a line that is no request' }])
  await receiver.arrived(2)
  const [first, second] = receiver.received
  assert.equal(first?.headers['webhook-id'], second?.headers['webhook-id'])
  assert.notEqual(first?.headers['webhook-timestamp'], second?.headers['webhook-timestamp'])
  const log = async () => {
    const reply = await fetch(`${server.url}/v1/webhook_endpoints/${webhook.id}/deliveries`)
    return (await reply.json()) as {
      data: { id: string; status: string; attempts: number; batch_id: string }[]
    }
  }
  let { data } = await log()
  while (data[0]?.status !== 'delivered') data = (await log()).data
  assert.equal(data.length, 1)
  assert.equal(data[0]?.attempts, 2)
  assert.equal(data[0]?.batch_id, id)
  const resend = `${server.url}/v1/webhook_endpoints/${webhook.id}/deliveries/${data[0]?.id}/resend`
  const resent = (await (await fetch(resend, { method: 'POST' })).json()) as {
    attempts: number
    status: string
  }
  assert.deepEqual([resent.attempts, resent.status, receiver.received.length], [3, 'delivered', 3])
  await receiver.stop()
})

test('R34: a test says what came of it, and a receiver that is gone is not asked again', async () => {
  const receiver = await startReceiver((call) => (call === 1 ? 204 : 410))
  const webhook = await openai.webhooks.create({
    name: 'x',
    url: receiver.url,
    event_types: ['batch.cancelled'],
  })
  const tested = await openai.webhooks.test(webhook.id, { event_type: 'batch.cancelled' })
  assert.deepEqual([tested.success, tested.status_code], [true, 204])
  const again = await openai.webhooks.test(webhook.id, { event_type: 'batch.expired' })
  assert.deepEqual([again.success, again.status_code], [false, 410])
  const shown = await fetch(`${server.url}/v1/webhook_endpoints/${webhook.id}`)
  const { disabled_reason: reason, signing_secret: secret } = (await shown.json()) as Record<string, unknown>
  assert.deepEqual([reason, secret], ['the receiver answered 410 Gone', undefined])
  await receiver.stop()
  const away = await openai.webhooks.test(webhook.id, { event_type: 'batch.expired' })
  assert.deepEqual([away.success, away.status_code], [false, null])
})

test('after a rotation with overlap both secrets verify, without it only the new one', async () => {
  const receiver = await startReceiver()
  const made = await openai.webhooks.create({
    name: 'x',
    url: receiver.url,
    event_types: ['batch.completed'],
  })
  const verifies = async (secret: string): Promise<boolean> => {
    await openai.webhooks.test(made.id, { event_type: 'batch.completed' })
    const last = receiver.received.at(-1)
    assert.ok(last !== undefined)
    return openai.webhooks
      .verifySignature(last.body, last.headers as Record<string, string>, secret)
      .then(() => true)
      .catch(() => false)
  }
  const second = await openai.webhooks.rotateSecret(made.id, { keep_old_secret_active_for_24_hours: true })
  assert.deepEqual([await verifies(made.signing_secret), await verifies(second.signing_secret)], [true, true])
  const third = await openai.webhooks.rotateSecret(made.id, {})
  assert.deepEqual(
    [await verifies(second.signing_secret), await verifies(third.signing_secret)],
    [false, true],
  )
  const listed: string[] = []
  for await (const { id } of openai.webhooks.list()) listed.push(id)
  assert.ok(listed.includes(made.id))
  await receiver.stop()
})

test('a target on this machine or its network is refused unless the operator allows it', async () => {
  const careful = await startTestServer({ upstreamUrl: upstream.url })
  const client = new OpenAI({ baseURL: `${careful.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const create = (url: string) => client.webhooks.create({ name: 'x', url, event_types: ['batch.completed'] })
  for (const url of [
    'http://127.0.0.1:80/',
    'http://[::1]/',
    'http://169.254.169.254/latest',
    'http://10.0.0.8/',
  ])
    await assert.rejects(create(url), /no public address/, url)
  for (const url of ['ftp://example.com/', 'no address', 'https://name:password@example.com/'])
    await assert.rejects(create(url), /Invalid 'url'/, url)
  // A name is looked up at each attempt, and what it leads to is judged then.
  const webhook = await create('http://localhost:1/')
  const tested = (await client.webhooks.test(webhook.id, { event_type: 'batch.completed' })) as unknown as {
    error: string
  }
  assert.match(tested.error, /no public address/)
  await careful.remove()
})

test('R34: a server that is killed after the end of a batch delivers it after its start', async (t) => {
  const sandbox = createSandbox()
  t.after(() => sandbox.remove())
  let isTaken = false
  const receiver = await startReceiver(() => (isTaken ? 200 : 500))
  const flags = configFlags(
    sandbox,
    { url: upstream.url, concurrency: 4 },
    '[webhooks]\nallow_private_targets = true\n',
  )
  const first = await startServerProcess(sandbox, flags)
  t.after(() => first.kill('SIGKILL'))
  const client = new OpenAI({ baseURL: `${first.url}/v1`, apiKey: 'none' })
  await client.webhooks.create({ name: 'x', url: receiver.url, event_types: ['batch.completed'] })
  const id = await startBatch(first.url, [chatLine(1, { model: 'm' })])
  await receiver.arrived(1)
  await first.kill('SIGKILL')
  isTaken = true
  const second = await startServerProcess(sandbox, flags)
  t.after(() => second.kill('SIGKILL'))
  await receiver.arrived(2)
  const events = receiver.received.map(({ body }) => (JSON.parse(body) as Event).data.id)
  assert.deepEqual(events, [id, id])
  assert.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 1)
  await receiver.stop()
})
