/** What strangers send to a server of ours: names that climb, lines that forge, bodies without measure, pages of other sites. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createHttpServers } from '../src/api/http-server.ts'
import {
  FORM_FIELD_BYTES_MAX,
  FORM_PARTS_MAX,
  JSON_BODY_BYTES_MAX,
  JSON_BODY_MS_MAX,
  JSON_DEPTH_MAX,
  PATH_PARAMETER_CHARACTERS_MAX,
} from '../src/domain/limits.ts'
import { createSystemClock } from '../src/lib/clock.ts'
import { systemRandom } from '../src/lib/random.ts'
import { startServer } from '../src/server.ts'
import { ask, batchWhen, createBatch } from './kit/batch-api.ts'
import { chatLine, jsonl } from './kit/requests.ts'
import {
  BOUNDARY,
  formOf,
  formType,
  type Part,
  sendRaw,
  startTestServer,
  testConfig,
} from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'

const canary = await startScriptedUpstream({ models: [] })
const upstream = await startScriptedUpstream({
  models: ['m'],
  script: ({ body }) =>
    body.includes('redirect me')
      ? { status: 302, headers: { location: `${canary.url}/chat/completions` }, body: '' }
      : { body: { choices: [{ message: { content: '<script>alert(1)</script>' } }] } },
})
const server = await startTestServer({ upstreamUrl: upstream.url })
const outside = join(server.folder, 'outside.txt')
writeFileSync(outside, 'the canary outside')
after(async () => {
  await server.remove()
  await upstream.stop()
  await canary.stop()
})

const host = `host: localhost:${server.port}\r\nconnection: close\r\n`
const raw = (method: string, path: string): Promise<string> =>
  sendRaw(server.port, `${method} ${path} HTTP/1.1\r\n${host}\r\n`)
const statusOf = (reply: string): number => Number(reply.split(' ')[1])
const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${server.url}${path}`, { method: 'POST', body, headers })
const upload = (content: string, filename = 'a.jsonl'): Promise<Response> =>
  uploadParts([
    { name: 'purpose', value: 'batch' },
    { name: 'file', value: content, filename },
  ])
const uploadParts = (parts: readonly Part[]): Promise<Response> =>
  fetch(`${server.url}/v1/files`, { method: 'POST', headers: formType, body: new Uint8Array(formOf(parts)) })
const idOf = async (reply: Response): Promise<string> => {
  assert.equal(reply.status, 200)
  return ((await reply.json()) as { id: string }).id
}
const isWell = async (): Promise<void> => assert.equal((await fetch(`${server.url}/ready`)).status, 200)

const climbing = [
  ...[
    '../outside.txt',
    '../../outside.txt',
    '..%2foutside.txt',
    '..%2f..%2foutside.txt',
    '%2e%2e%2foutside.txt',
  ],
  ...['..%5coutside.txt', '....//outside.txt', '%252e%252e%252foutside.txt', '%c0%ae%c0%ae%2foutside.txt'],
  ...[
    'file-%00',
    '..%00',
    '%2fetc%2fpasswd',
    '//etc/passwd',
    'file-..%2f..%2foutside',
    '.',
    '..',
    '~',
    '%ff',
  ],
]
for (const name of climbing) {
  test(`the path '${name}' leads nowhere on any route`, async () => {
    const paths = [`/v1/files/${name}`, `/v1/files/${name}/content`, `/v1/files/${name}/findings`]
    const all = [...paths, `/v1/batches/${name}`, `/v1/models/${name}`, `/${name}`]
    for (const path of all) {
      const reply = await raw('GET', path)
      // A path that stays on a list route once it is resolved is that list; the server resolves none.
      assert.ok([400, 403, 404].includes(statusOf(reply)), `${path}: ${reply.slice(0, 200)}`)
      assert.doesNotMatch(reply, /canary outside|root:/)
    }
    assert.equal(statusOf(await raw('DELETE', `/v1/files/${name}`)), 404)
  })
}

test('a path in a query, in a body or in the name of a file is a word like any other', async () => {
  const climb = '../../../outside.txt'
  for (const query of [`after=${climb}`, `purpose=${climb}`])
    assert.ok([200, 400].includes(statusOf(await raw('GET', `/v1/files?${query}`))))
  for (const query of [`order=${climb}`, `limit=${climb}`])
    assert.equal(statusOf(await raw('GET', `/v1/files?${query}`)), 400)
  const body = { input_file_id: climb, endpoint: '/v1/chat/completions', completion_window: '24h' }
  assert.equal((await post('/v1/batches', JSON.stringify(body))).status, 200)
  const before = readdirSync(server.folder)
  for (const filename of [
    climb,
    '/etc/evil.jsonl',
    '..\\..\\evil.jsonl',
    '.',
    'a/../../b',
    'C:\\evil.jsonl',
  ]) {
    const reply = await upload('{}\n', filename)
    if (reply.status === 400) continue
    const id = await idOf(reply)
    assert.deepEqual(
      readdirSync(join(server.dataDir, 'blobs')).filter(
        (name) => !/^file-[a-z2-7]+\.(data|index|findings)$/.test(name),
      ),
      [],
    )
    assert.equal((await fetch(`${server.url}/v1/files/${id}`, { method: 'DELETE' })).status, 200)
  }
  assert.deepEqual(readdirSync(server.folder), before)
  assert.equal(readFileSync(outside, 'utf8'), 'the canary outside')
})

test('the name of an upstream is no path, and nothing but its owner may name one', async () => {
  const add = (body: unknown, key: string | null): Promise<Response> =>
    post('/admin/v1/upstreams', JSON.stringify(body), key === null ? {} : { authorization: `Bearer ${key}` })
  for (const name of ['../../evil', 'a/b', '..', '.hidden', 'a\u0000b', 'a\r\nb']) {
    const reply = await add({ name, url: canary.url, key: 'k' }, server.ownerToken)
    assert.equal(reply.status, 400, name)
  }
  // A caller without a key, on an open loopback server, is no operator either.
  assert.equal((await add({ name: 'mine', url: canary.url }, null)).status, 403)
})

const forging = [
  'a\r\nx-evil: 1',
  'a\nx-evil: 1',
  'a"; x-evil="1',
  'a\u0000b',
  'a\u2028b',
  'é\u202eb',
  'a\\"b',
]
for (const name of forging) {
  test(`the file name ${JSON.stringify(name)} forges no header`, async () => {
    const encoded = `filename*=UTF-8''${encodeURIComponent(name)}`
    const part = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; ${encoded}\r\n\r\n{}\n\r\n`
    const purpose = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n`
    const reply = await post('/v1/files', `${purpose}${part}--${BOUNDARY}--\r\n`, formType)
    if (reply.status !== 200) return assert.equal(reply.status, 400)
    const content = await raw('GET', `/v1/files/${await idOf(reply)}/content`)
    const [head = ''] = content.split('\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 200 /)
    assert.doesNotMatch(head, /(^|[\r\n])x-evil/i)
    const [line = ''] = /content-disposition: [^\r\n]*/.exec(head) ?? []
    assert.match(
      line,
      /^content-disposition: attachment; filename="[\x20-\x21\x23-\x5b\x5d-\x7e]*"(; filename\*=UTF-8''[\w%.!~*'()-]*)?$/,
    )
  })
}

test('a caller names no request: the id is ours, whatever it sends', async () => {
  const given = 'req_forged"}\u00ff{"level":50'
  const reply = await sendRaw(
    server.port,
    `GET /v1/files HTTP/1.1\r\n${host}x-request-id: ${given}\r\nuser-agent: ${given}\r\n\r\n`,
  )
  assert.match(reply, /\r\nx-request-id: req_[0-9a-f]{32}\r\n/)
  assert.doesNotMatch(reply, /forged/)
})

test('line breaks in metadata, in a custom_id and in an error message stay inside one line of JSON', async () => {
  const evil = 'a\r\n{"id":"forged"}\r\nb'
  const id = await idOf(await upload(jsonl([{ ...chatLine(1, { model: 'm' }), custom_id: evil }])))
  const { id: batchId } = await createBatch(server.url, id, { metadata: { note: evil } })
  const ended = await batchWhen(server.url, batchId, ({ status }) => status === 'completed')
  assert.equal((ended as unknown as { metadata: { note: string } }).metadata.note, evil)
  const reply = await fetch(`${server.url}/v1/files/${ended.output_file_id}/content`)
  const lines = (await reply.text()).trimEnd().split('\n')
  assert.equal(lines.length, 1)
  assert.equal(JSON.parse(lines[0] ?? '').custom_id, evil)
  const [head = ''] = (await raw('GET', '/v1/files/a%0d%0ax-evil:%201')).split('\r\n\r\n')
  assert.doesNotMatch(head, /(^|[\r\n])x-evil/i)
})

test('what a model has written is served as bytes to be saved, never as a page', async () => {
  const id = await idOf(await upload(jsonl([chatLine(1, { model: 'm' })]), 'page.html.jsonl'))
  const { id: batchId } = await createBatch(server.url, id)
  const ended = await batchWhen(server.url, batchId, ({ status }) => status === 'completed')
  for (const [path, type] of [
    [`/v1/files/${ended.output_file_id}/content`, 'application/octet-stream'],
    [`/v1/files/${ended.output_file_id}/content?skip=0`, 'application/octet-stream'],
    [`/v1/files/${id}/content`, 'application/octet-stream'],
    [`/v1/files/${id}/findings`, 'application/x-ndjson'],
    ['/v1/files/<script>alert(1)</script>', 'application/json; charset=utf-8'],
  ] as const) {
    const reply = await fetch(`${server.url}${path}`)
    assert.equal(reply.headers.get('content-type'), type, path)
    assert.equal(reply.headers.get('x-content-type-options'), 'nosniff')
    if (path.includes('/content'))
      assert.match(reply.headers.get('content-disposition') ?? '', /^attachment; /)
    await reply.arrayBuffer()
  }
})

const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
const oversized: Record<string, () => Promise<number>> = {
  'a JSON body over the limit': async () =>
    (await post('/v1/batches', `"${'x'.repeat(JSON_BODY_BYTES_MAX)}"`)).status,
  'a JSON body without end': async () =>
    statusOf(
      await sendRaw(
        server.port,
        `POST /v1/batches HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n`,
        `${(2 * JSON_BODY_BYTES_MAX).toString(16)}\r\n${'x'.repeat(2 * JSON_BODY_BYTES_MAX)}\r\n0\r\n\r\n`,
      ),
    ),
  'a body nested without measure': async () => (await post('/v1/batches', deep(400_000))).status,
  'metadata nested without measure': async () => {
    const inner = `{"input_file_id":"f","endpoint":"/v1/embeddings","completion_window":"24h","metadata":{"a":${deep(200_000)}}}`
    return (await post('/v1/batches', inner)).status
  },
  'many headers': async () => {
    const many = Array.from({ length: 5_000 }, (_, number) => `x-${number}: 1\r\n`).join('')
    return statusOf(await sendRaw(server.port, `GET /v1/files HTTP/1.1\r\n${host}${many}\r\n`))
  },
  'a long id': async () =>
    statusOf(await raw('GET', `/v1/files/${'a'.repeat(PATH_PARAMETER_CHARACTERS_MAX + 1)}`)),
  'a long query': async () => statusOf(await raw('GET', `/v1/files?after=${'a'.repeat(15_000)}&limit=x`)),
  'a form of many parts': async () =>
    (
      await uploadParts(
        Array.from({ length: FORM_PARTS_MAX * 10 }, () => ({ name: 'purpose', value: 'batch' })),
      )
    ).status,
  'a form field over the limit': async () =>
    (await uploadParts([{ name: 'purpose', value: 'x'.repeat(FORM_FIELD_BYTES_MAX * 100) }])).status,
  'a form field with a long name': async () =>
    (await uploadParts([{ name: 'x'.repeat(100_000), value: '' }])).status,
  'a long file name': async () => (await upload('{}\n', 'x'.repeat(10_000))).status,
  'a boundary without end': async () =>
    (await post('/v1/files', '', { 'content-type': `multipart/form-data; boundary=${'-'.repeat(10_000)}` }))
      .status,
}
for (const [what, act] of Object.entries(oversized)) {
  test(`${what} is refused, and the server goes on`, async () => {
    const status = await act()
    assert.ok(status >= 400 && status < 500, `status ${status}`)
    await isWell()
  })
}

test('a line nested without measure is a finding, and an answer nested so hurts nobody', async () => {
  const body = `{"model":"m","messages":${deep(JSON_DEPTH_MAX * 400)}}`
  const line = `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":${body}}\n`
  const id = await idOf(await upload(line))
  const { id: batchId } = await createBatch(server.url, id)
  assert.equal(
    (await batchWhen(server.url, batchId, ({ status }) => status !== 'validating')).status,
    'failed',
  )
  upstream.setScript(() => ({ body: `{"a":${deep(100_000)}}` }))
  const good = await idOf(await upload(jsonl([chatLine(1, { model: 'm' })])))
  const answered = await batchWhen(
    server.url,
    (await createBatch(server.url, good)).id,
    ({ status }) => status === 'completed',
  )
  assert.equal(answered.request_counts.total, 1)
  await isWell()
})

test('no key of an object reaches the prototype of all objects', async () => {
  const pollution = ['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}']
  const owner = { authorization: `Bearer ${server.ownerToken}` }
  for (const body of pollution) {
    const wrapped = `{"input_file_id":"f","endpoint":"/v1/embeddings","completion_window":"24h","metadata":${body}}`
    for (const text of [body, wrapped]) assert.ok((await post('/v1/batches', text)).status <= 400, text)
    for (const path of ['/admin/v1/keys', '/admin/v1/upstreams'])
      assert.equal((await post(path, body, owner)).status, 400)
    await (
      await upload(`${body}\n{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":${body}}\n`)
    ).text()
  }
  await fetch(`${server.url}/v1/files?__proto__[polluted]=1&constructor[prototype][polluted]=1`)
  await uploadParts([{ name: '__proto__', value: 'polluted' }])
  // The server runs in this very process.
  assert.equal('polluted' in {}, false)
  assert.equal(Object.getPrototypeOf({}), Object.prototype)
})

test('a page of another site gets nothing from a server without keys', async () => {
  const evil = 'http://evil.example'
  const asks = [
    { method: 'GET', path: '/v1/files' },
    { method: 'GET', path: '/v1/models' },
    { method: 'POST', path: '/v1/batches' },
    { method: 'DELETE', path: '/v1/files/file-a' },
    { method: 'GET', path: '/admin/v1/keys' },
  ]
  for (const { method, path } of asks) {
    const rebound = await sendRaw(
      server.port,
      `${method} ${path} HTTP/1.1\r\nhost: evil.example:${server.port}\r\nconnection: close\r\n\r\n`,
    )
    assert.equal(statusOf(rebound), 403, `${method} ${path} under another name`)
    const origins = [evil, 'null', `http://localhost:${server.port + 1}`, `https://localhost:${server.port}`]
    for (const origin of origins) {
      const reply = await fetch(`${server.url}${path}`, { method, headers: { origin } })
      assert.equal(reply.status, 403, `${method} ${path} from ${origin}`)
      assert.equal(reply.headers.get('access-control-allow-origin'), null)
      await reply.arrayBuffer()
    }
  }
  // A form is the one upload that a page may send without asking first.
  const form = formOf([
    { name: 'purpose', value: 'batch' },
    { name: 'file', value: '{}\n', filename: 'a.jsonl' },
  ])
  const headers = { ...formType, origin: evil }
  assert.equal(
    (await fetch(`${server.url}/v1/files`, { method: 'POST', headers, body: new Uint8Array(form) })).status,
    403,
  )
  const preflight = {
    origin: evil,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization',
  }
  const asked = await fetch(`${server.url}/v1/batches`, { method: 'OPTIONS', headers: preflight })
  assert.ok(asked.status >= 400)
  assert.deepEqual(
    [...asked.headers.keys()].filter((name) => name.startsWith('access-control')),
    [],
  )
})

test('no address that a tenant writes is ever asked: not of a picture, not of a line, not of a batch, not by a redirect', async () => {
  upstream.setScript(({ body }) =>
    body.includes('redirect me')
      ? { status: 302, headers: { location: `${canary.url}/chat/completions` }, body: '' }
      : null,
  )
  const picture = { type: 'image_url', image_url: { url: `${canary.url}/picture.png` } }
  const withPicture = chatLine(1, { model: 'm' })
  const lines = [
    { ...withPicture, body: { model: 'm', messages: [{ role: 'user', content: [picture] }] } },
    chatLine(2, { model: 'm', content: 'redirect me' }),
  ]
  const { id } = await createBatch(server.url, await idOf(await upload(jsonl(lines))))
  const ended = await batchWhen(
    server.url,
    id,
    ({ status, request_counts }) => status === 'completed' || request_counts.completed === 1,
  )
  assert.equal(ended.request_counts.completed, 1)
  await ask(`${server.url}/v1/batches/${id}/cancel`, { method: 'POST' }).catch(() => null)
  const elsewhere = [{ ...chatLine(3, { model: 'm' }), url: `${canary.url}/chat/completions` }]
  const wrong = await createBatch(server.url, await idOf(await upload(jsonl(elsewhere))))
  assert.equal(
    (await batchWhen(server.url, wrong.id, ({ status }) => status !== 'validating')).status,
    'failed',
  )
  for (const more of [{ webhook_url: canary.url }, { upstream: canary.url }, { base_url: canary.url }])
    await assert.rejects(createBatch(server.url, 'file-a', more), /^Error: 400 /)
  assert.equal(canary.calls.length, 0)
})

/** The bare servers below the routes, with limits short enough to wait for. */
async function withLimits(
  connections: { headersMsMax: number; headersCheckMs: number; idleMsMax: number },
  body: (port: number) => Promise<void>,
): Promise<void> {
  const parts = { clock: createSystemClock(), random: systemRandom, version: '1', connections }
  const servers = createHttpServers({
    ...parts,
    onEnd: () => undefined,
  })
  const http = servers.open((request, response) => {
    request.resume()
    request.once('end', () => response.end('served'))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  // It listens on TCP, so the address is of that kind.
  await body((http.address() as AddressInfo).port)
  servers.cutConnections()
  await new Promise((resolve) => http.close(resolve))
}

const closed = (socket: Socket): Promise<string> => {
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  socket.on('error', () => {
    // A cut may look like a reset.
  })
  return new Promise((resolve) =>
    socket.once('close', () => resolve(Buffer.concat(received).toString('utf8'))),
  )
}

test('headers that drip in are cut off after HEADERS_MS_MAX, and hold up nobody meanwhile', async () => {
  await withLimits({ headersMsMax: 300, headersCheckMs: 50, idleMsMax: 60_000 }, async (port) => {
    const slow = Array.from({ length: 50 }, () => connect(port, '127.0.0.1'))
    const ends = slow.map(closed)
    const drip = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write('x')
    }, 20)
    for (const socket of slow) socket.write('GET / HTTP/1.1\r\nhost: x\r\nx-slow: ')
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'served')
    const replies = await Promise.all(ends)
    clearInterval(drip)
    for (const reply of replies) assert.match(reply, /^(HTTP\/1\.1 408 |$)/)
    assert.ok(replies.some((reply) => reply.startsWith('HTTP/1.1 408 ')))
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'served')
  })
})

test('a connection that falls silent in the middle of its body is closed after CONNECTION_IDLE_MS_MAX', async () => {
  await withLimits({ headersMsMax: 60_000, headersCheckMs: 60_000, idleMsMax: 200 }, async (port) => {
    const silent = connect(port, '127.0.0.1')
    const end = closed(silent)
    silent.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf')
    assert.equal(await end, '')
  })
})

test('a JSON body that drips in gets 408 after JSON_BODY_MS_MAX; an upload may take its time', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const system = createSystemClock()
  const timers = new Set<() => void>()
  const armed = Promise.withResolvers<void>()
  const clock = {
    ...system,
    after(delayMs: number, fire: () => void): () => void {
      if (delayMs !== JSON_BODY_MS_MAX) return system.after(delayMs, fire)
      timers.add(fire)
      armed.resolve()
      return () => timers.delete(fire)
    },
  }
  const env = { DW_STATE_DIR: join(folder, 'state') }
  const own = await startServer(testConfig(folder), { mayMovePort: false, env, clock })
  try {
    const port = Number(new URL(own.url).port)
    const begin = (path: string, headers: string): { socket: Socket; end: Promise<string> } => {
      const socket = connect(port, '127.0.0.1')
      socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost:${port}\r\nconnection: close\r\n${headers}\r\n`)
      return { socket, end: closed(socket) }
    }
    const json = begin('/v1/batches', 'content-length: 100\r\n')
    json.socket.write('{"input')
    await armed.promise
    assert.equal((await fetch(`${own.url}/v1/files`)).status, 200)
    assert.equal(timers.size, 1, 'what has no body has no such limit')
    const form = formOf([
      { name: 'purpose', value: 'batch' },
      { name: 'file', value: '{}\n', filename: 'a.jsonl' },
    ])
    const slowUpload = begin(
      '/v1/files',
      `content-type: ${formType['content-type']}\r\ncontent-length: ${form.byteLength}\r\n`,
    )
    slowUpload.socket.write(form.subarray(0, 60))
    const whole = await fetch(`${own.url}/v1/batches`, { method: 'POST', body: '{}' })
    assert.equal(whole.status, 400)
    assert.equal(timers.size, 1, 'a body that has arrived has no limit any more')
    for (const fire of timers) fire()
    // The rest of the refused body is read for a while; it ends here.
    json.socket.write('x'.repeat(93))
    assert.match(await json.end, /^HTTP\/1\.1 408 [\s\S]*took too long to arrive/)
    slowUpload.socket.write(form.subarray(60))
    assert.match(await slowUpload.end, /^HTTP\/1\.1 200 /)
  } finally {
    await own.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})
