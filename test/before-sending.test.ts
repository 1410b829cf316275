/** What is wrong is found before a byte is sent; what is sent survives a connection that breaks. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { ask } from './kit/batch-api.ts'
import { startDw } from './kit/dw-child.ts'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import { type OpenAiService, startOpenAiService } from './kit/openai-service.ts'
import { chatLine, jsonl, writeLargeFile } from './kit/requests.ts'
import { startTestServer, type TestServer } from './kit/running-server.ts'
import { type ScriptedUpstream, startScriptedUpstream } from './kit/scripted-upstream.ts'
import { createSandbox } from './kit/server-process.ts'

const MODEL = 'gpt-test'
const sandbox = createSandbox()
let runner: DwRunner
let upstream: ScriptedUpstream
let server: TestServer
let service: OpenAiService

before(async () => {
  runner = startDwRunner()
  upstream = await startScriptedUpstream({ models: [MODEL] })
  server = await startTestServer({ upstreamUrl: upstream.url })
  service = await startOpenAiService({ models: [MODEL] })
})
after(async () => {
  await runner.stop()
  await service.stop()
  await server.remove()
  await upstream.stop()
  sandbox.remove()
})

const good = chatLine(0, { model: MODEL })
const other = { ...chatLine(1, { model: MODEL }), url: '/v1/embeddings', body: { model: MODEL, input: 'x' } }

const corpus: { name: string; text: string | Buffer; says: RegExp }[] = [
  { name: 'a cut line', text: `${jsonl([good])}{"custom_id":\n`, says: /invalid_json_line: line 2:/ },
  {
    name: 'no fields',
    text: `${jsonl([good])}{"custom_id":"b"}\n`,
    says: /line 2: .*'method'[\s\S]*line 2: .*'url'[\s\S]*line 2: .*'body'/,
  },
  {
    name: 'an id twice',
    text: jsonl([good, good, good]),
    says: /duplicate_custom_id: lines 2, 3: .*'request-0'/,
  },
  { name: 'two endpoints', text: jsonl([good, other]), says: /invalid_url: line 2:/ },
  { name: 'no request', text: '\n \n', says: /empty_file/ },
  {
    name: 'no model',
    text: jsonl([{ ...good, body: { messages: good.body.messages } }]),
    says: /line 1: Model parameter is required/,
  },
  {
    name: 'a stream',
    text: jsonl([{ ...good, body: { ...good.body, stream: true } }]),
    says: /streaming_unsupported: line 1:/,
  },
  {
    name: 'no UTF-8',
    text: Buffer.from(jsonl([good]).replace('Question', 'Qu\u00e9stion'), 'latin1'),
    says: /invalid_utf8: line 1:/,
  },
  { name: 'a mark before it', text: `\ufeff${jsonl([good])}`, says: /byte_order_mark: line 1:/ },
]

for (const { name, text, says } of corpus) {
  test(`R21: ${name} is told with its line before the service hears anything`, async () => {
    writeFileSync(sandbox.path('bad.jsonl'), text)
    const asked = service.asked.length
    const ran = await runner.run(['run', 'bad.jsonl', '-o', 'never.jsonl'], {
      cwd: sandbox.folder,
      env: { ...sandbox.env, ...service.env },
    })
    assert.equal(ran.exitCode, 6, ran.stderr)
    assert.match(ran.stderr, says)
    assert.match(ran.stderr, /Nothing was submitted/)
    assert.equal(service.asked.length, asked)
  })
}

test('R21: a model that the server does not have is told with the nearest one before a byte is sent', async () => {
  writeFileSync(sandbox.path('model.jsonl'), jsonl([chatLine(0, { model: 'gtp-test' })]))
  const files = (): Promise<{ data: unknown[] }> => ask(`${server.url}/v1/files`)
  const filesBefore = (await files()).data.length
  const here = { cwd: sandbox.folder, env: { ...sandbox.env, DW_SERVER: server.url } }
  for (const more of [['-o', 'never.jsonl'], ['--dry-run']]) {
    const ran = await runner.run(['run', 'model.jsonl', ...more], here)
    assert.equal(ran.exitCode, 6, ran.stderr)
    assert.match(ran.stderr, /does not list 'gtp-test'[\s\S]*did you mean: gpt-test/)
  }
  assert.equal((await files()).data.length, filesBefore)
  // Another service may serve what it does not list.
  const there = { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env } }
  const ran = await runner.run(['run', 'model.jsonl', '-o', 'there.jsonl'], there)
  assert.match(ran.stderr, /does not list 'gtp-test'\. It may serve them all the same/)
})

const UPLOAD_LINES = 4_000
const UPLOAD_LINE_BYTES = 16 * 1024
const RESIDENT_BYTES_MAX = 200 * 1024 * 1024

/** Passes connections on, and breaks the first that has brought so many bytes. */
async function startBreakingProxy(target: string, breakAfterBytes: number) {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const state = { breaks: 0, onBytes: () => {} }
  const listener = createServer((caller) => {
    const onward = connect(Number(port), hostname)
    for (const socket of [caller, onward]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => sockets.delete(socket))
    }
    let bytes = 0
    caller.on('data', (chunk) => {
      bytes += chunk.byteLength
      state.onBytes()
      if (state.breaks > 0 || bytes < breakAfterBytes) {
        if (!onward.write(asFor(chunk))) caller.pause()
        return
      }
      state.breaks += 1
      caller.resetAndDestroy()
      onward.destroy()
    })
    onward.on('drain', () => caller.resume())
    caller.on('end', () => onward.end())
    onward.pipe(caller)
  })
  // The server answers only to its own address: both ports have five digits.
  const asFor = (chunk: Buffer): Buffer => {
    const at = chunk.indexOf(`127.0.0.1:${(listener.address() as AddressInfo).port}`)
    if (at !== -1) chunk.write(`127.0.0.1:${port}`, at)
    return chunk
  }
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return {
    // Listening on TCP, so the address is of that kind.
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    state,
    stop(): Promise<void> {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => listener.close(() => resolve()))
    },
  }
}

test('R22: an upload whose connection breaks half-way ends as one file on the server, in little memory', async () => {
  const path = sandbox.path('large.jsonl')
  await writeLargeFile(path, { count: UPLOAD_LINES, lineBytes: UPLOAD_LINE_BYTES, model: MODEL })
  const filesBefore = await ask<{ data: unknown[] }>(`${server.url}/v1/files`)
  const proxy = await startBreakingProxy(server.url, (UPLOAD_LINES * UPLOAD_LINE_BYTES) / 2)
  try {
    const child = startDw(['run', 'large.jsonl', '-o', 'large-out.jsonl', '-v'], {
      cwd: sandbox.folder,
      env: { ...sandbox.env, DW_SERVER: proxy.url },
    })
    let residentBytes = 0
    proxy.state.onBytes = () => {
      const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
      residentBytes = Math.max(residentBytes, Number(kilobytes ?? 0) * 1024)
    }
    const ran = await child.ended
    assert.equal(ran.exitCode, 0, ran.stderr)
    assert.equal(proxy.state.breaks, 1)
    const files = await ask<{ data: { bytes: number; purpose: string }[] }>(`${server.url}/v1/files`)
    const inputs = files.data.filter(({ purpose }) => purpose === 'batch')
    assert.equal(inputs.length, filesBefore.data.length + 1)
    assert.equal(inputs[0]?.bytes, readFileSync(path).byteLength)
    assert.ok(residentBytes > 0 && residentBytes < RESIDENT_BYTES_MAX, `${residentBytes} bytes`)
  } finally {
    await proxy.stop()
  }
})
