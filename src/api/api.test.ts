import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, type Socket } from 'node:net'
import { afterEach, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { sendRaw } from '../../test/kit/running-server.ts'
import type { WireErrorBody } from '../contract/wire.ts'
import { defaultWindows } from '../domain/window.ts'
import { OutcomeUnknownError } from '../engine/commit-outcome.ts'
import type { Service } from '../engine/service.ts'
import { type Clock, createSystemClock } from '../lib/clock.ts'
import { BugError, TroubleError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { systemRandom } from '../lib/random.ts'
import { type ApiParts, buildApi } from './api.ts'

// The parts behind the routes are stand-ins here: what is wanted of them are faults that the real ones cannot be made to have.

type LogLine = { level: string; facts: Record<string, unknown>; message: string }
type Running = { app: FastifyInstance; url: string; port: number; log: LogLine[] }

const running: FastifyInstance[] = []
afterEach(async () => {
  for (const app of running.splice(0)) await app.close()
})

async function start(service: Partial<Service>, more: Partial<ApiParts> = {}): Promise<Running> {
  const log: LogLine[] = []
  const to =
    (level: string): Logger['info'] =>
    (facts, message) =>
      void log.push({ level, facts, message })
  const address = { host: '127.0.0.1', port: 0 }
  const app = await buildApi({
    // A route that asks for what is not there fails its test.
    service: { windows: defaultWindows, liveState: () => null, ...service } as Service,
    keys: { findByHash: async () => null, any: async () => false, touch: async () => undefined },
    clock: createSystemClock(),
    random: systemRandom,
    logger: { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') },
    ownerToken: 'dwo_owner',
    keyPrefix: 'dw_',
    isOpenAllowed: true,
    version: '1.2.3',
    currency: 'USD',
    address: () => address,
    ...more,
  })
  await app.listen({ host: address.host, port: 0 })
  address.port = (app.server.address() as AddressInfo).port
  running.push(app)
  return { app, url: `http://127.0.0.1:${address.port}`, port: address.port, log }
}

async function errorOf(reply: Response): Promise<WireErrorBody['error']> {
  return ((await reply.json()) as WireErrorBody).error
}

function postBatch(url: string): Promise<Response> {
  return fetch(`${url}/v1/batches`, {
    method: 'POST',
    body: JSON.stringify({ input_file_id: 'f', endpoint: '/v1/embeddings', completion_window: '24h' }),
  })
}

const SECRET = 'no such column in /srv/dw.sqlite'

test('a bug is a server error without internals, and the log has the reason under the same request id', async () => {
  const { url, log } = await start({
    getBatch: async () => {
      throw new BugError(SECRET)
    },
  })
  const reply = await fetch(`${url}/v1/batches/batch_a?key=sk-in-query`, {
    headers: { authorization: 'Bearer sk-in-header' },
  })
  assert.equal(reply.status, 500)
  const error = await errorOf(reply)
  assert.deepEqual([error.type, error.code], ['server_error', null])
  assert.doesNotMatch(error.message, /sqlite/)
  const failure = log.find(({ message }) => message === 'request failed')
  assert.equal(failure?.facts.requestId, reply.headers.get('x-request-id'))
  assert.match(String(failure?.facts.cause), /no such column/)
  assert.doesNotMatch(JSON.stringify(log), /sk-in-/)
})

test('each request is one line in the log', async () => {
  const { url, log } = await start({ getBatch: async () => null })
  const reply = await fetch(`${url}/v1/batches/batch_a?x=1`)
  await reply.text()
  const lines = log.filter(({ message }) => message === 'request')
  assert.equal(lines.length, 1)
  const { ms, ...facts } = lines[0]?.facts ?? {}
  assert.equal(typeof ms, 'number')
  assert.deepEqual(facts, {
    method: 'GET',
    route: '/v1/batches/:id',
    status: 404,
    requestId: reply.headers.get('x-request-id'),
    tenant: 'local',
  })
})

test('trouble says when to come back, a full disk that repeating does not help', async () => {
  const trouble = { code: 'disk_full' as TroubleError['code'] }
  const { url } = await start({
    getBatch: async () => {
      throw new TroubleError(trouble.code, SECRET)
    },
  })
  const full = await fetch(`${url}/v1/batches/a`)
  assert.deepEqual([full.status, (await errorOf(full)).code], [507, 'insufficient_storage'])
  assert.equal(full.headers.get('x-should-retry'), 'false')
  trouble.code = 'unreachable'
  const busy = await fetch(`${url}/v1/batches/a`)
  assert.deepEqual([busy.status, (await errorOf(busy)).code], [503, 'service_unavailable'])
  assert.ok(Number(busy.headers.get('retry-after')) >= 1)
})

test('a create that may have happened is not answered: the connection closes', async () => {
  for (const thrown of [
    new OutcomeUnknownError('batch_a', new Error('lost')),
    new BugError('after the commit'),
  ]) {
    const { url, log } = await start({
      createBatch: async () => {
        throw thrown
      },
    })
    await assert.rejects(postBatch(url), TypeError)
    assert.ok(log.some(({ level }) => level === 'error'))
  }
})

test('a create that certainly did not happen is answered', async () => {
  const { url } = await start({
    createBatch: async () => {
      throw new TroubleError('disk_full', SECRET)
    },
  })
  assert.equal((await postBatch(url)).status, 507)
})

test('content that breaks off breaks the connection, so that nobody takes a part for the whole', async () => {
  const content = {
    file: {
      id: 'file-a',
      tenantId: 'local',
      filename: 'a.jsonl',
      purpose: 'batch',
      createdAt: 0,
      expiresAt: null,
      deletedAt: null,
      kind: 'input' as const,
      bytes: 1_000_000,
      extents: [],
      inspection: null,
      batchId: null,
    },
    bytes: 1_000_000,
    isIncomplete: false,
    async *read() {
      yield Buffer.alloc(100_000)
      throw new TroubleError('disk_failed', SECRET)
    },
  }
  const { url, log } = await start({ openContent: async () => content })
  const reply = await fetch(`${url}/v1/files/file-a/content`)
  assert.equal(reply.status, 200)
  await assert.rejects(reply.arrayBuffer(), TypeError)
  const line = log.find(({ message }) => message === 'content broke off')
  assert.equal(line?.facts.requestId, reply.headers.get('x-request-id'))
})

const broken: { what: string; bytes: string; status: number }[] = [
  { what: 'no HTTP at all', bytes: 'hello\r\n\r\n', status: 400 },
  { what: 'an unknown method', bytes: 'FOO /v1/files HTTP/1.1\r\nhost: x\r\n\r\n', status: 400 },
  {
    what: 'headers over the limit',
    bytes: `GET /v1/files HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(40_000)}\r\n\r\n`,
    status: 431,
  },
  {
    what: 'a path that cannot be decoded',
    bytes: 'GET /v1/files/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    status: 404,
  },
  {
    what: 'an id over the limit',
    bytes: `GET /v1/files/${'x'.repeat(600)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
    status: 404,
  },
  { what: 'no host', bytes: 'GET /v1/files HTTP/1.1\r\nconnection: close\r\n\r\n', status: 403 },
  {
    what: 'an expectation that nobody knows, and no host',
    bytes: 'GET /v1/files HTTP/1.1\r\nexpect: wonders\r\nconnection: close\r\n\r\n',
    status: 403,
  },
  {
    what: 'a chunk of no length',
    bytes: 'POST /v1/batches HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    status: 400,
  },
]

for (const { what, bytes, status } of broken) {
  test(`a request with ${what} gets ${status} in the one shape of errors, with a request id`, async () => {
    const { port } = await start({})
    const reply = await sendRaw(port, bytes)
    const [head = '', body = ''] = reply.split('\r\n\r\n')
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(head, /\r\nx-request-id: req_[0-9a-f]{32}(\r\n|$)/)
    assert.match(head, /\r\nx-content-type-options: nosniff(\r\n|$)/)
    assert.match(head, /\r\ndw-version: 1\.2\.3(\r\n|$)/)
    assert.match(head, /\r\ncontent-type: application\/json/)
    // The reply is ours; its shape is what is tested.
    const { error } = JSON.parse(body) as WireErrorBody
    assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code'])
  })
}

test('a server that stops refuses new requests on open connections, and cuts what does not end in time', async () => {
  const clock = movableClock()
  const asked = Promise.withResolvers<void>()
  const { app, port } = await start(
    {
      getBatch: () => {
        asked.resolve()
        return new Promise(() => undefined)
      },
    },
    { clock, stopWaitMs: 5_000 },
  )
  const [stuck, idle] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  // Half of a request keeps a connection from being idle.
  idle.write(`GET /v1/batches/b HTTP/1.1\r\nhost: localhost:${port}\r\n`)
  stuck.write(`GET /v1/batches/a HTTP/1.1\r\nhost: localhost:${port}\r\n\r\n`)
  await Promise.all([asked.promise, once(idle, 'connect')])
  const closed = app.close()
  await clock.armed
  idle.write('\r\n')
  const refused = await textOf(idle)
  assert.match(refused, /^HTTP\/1\.1 503 /)
  assert.match(refused, /retry-after: \d+/)
  assert.match(refused, /"code":"service_unavailable"/)
  idle.destroy()
  const cut = once(stuck, 'close')
  stuck.on('error', () => {
    // A cut may look like a reset.
  })
  clock.fire(5_000)
  await cut
  await closed
})

async function textOf(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, 'data')
  return String(chunk)
}

/** A clock whose timers fire by hand. */
function movableClock(): Clock & { armed: Promise<void>; fire(delayMs: number): void } {
  const armed = Promise.withResolvers<void>()
  const timers = new Map<number, () => void>()
  return {
    ...createSystemClock(),
    armed: armed.promise,
    after(delayMs, fire) {
      timers.set(delayMs, fire)
      armed.resolve()
      return () => timers.delete(delayMs)
    },
    fire: (delayMs) => timers.get(delayMs)?.(),
  }
}
