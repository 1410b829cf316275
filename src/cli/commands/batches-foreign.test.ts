/** The batch commands against a service that has OpenAI's routes and nothing of ours, over a network that breaks. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { chatLine, jsonl } from '../../../test/kit/requests.ts'
import { type CommandResult, createSandbox, runDw } from '../../../test/kit/server-process.ts'

const sandbox = createSandbox()
const answers = jsonl(
  Array.from({ length: 400 }, (_, number) => ({
    id: `batch_req_${number}`,
    custom_id: `request-${number}`,
    response: { status_code: 200, body: { text: 'ä'.repeat(200) } },
    error: null,
  })),
)
const failures = jsonl([
  {
    custom_id: 'request-400',
    response: { status_code: 429, body: { error: { code: 'rate', message: 'Slow down.' } } },
  },
])

const state = {
  knowsRanges: false,
  /** Of the next replies with content: after so many bytes the connection breaks. */
  cuts: [] as number[],
  /** Statuses of the next looks at the batch; then `completed`. */
  looks: [] as ('reset' | 503 | 'in_progress')[],
  asked: [] as string[],
  /** What happens to the next requests for a batch; then they succeed. `lost`: made, but no answer comes. */
  creations: [] as ('lost' | 'refused')[],
  created: [] as { body: Record<string, unknown>; key: string | undefined }[],
}
let server: Server
let url: string

before(async () => {
  server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
})
after(() => {
  server.closeAllConnections()
  server.close()
  sandbox.remove()
})

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const path = request.url ?? ''
  state.asked.push(`${request.method} ${path} ${request.headers.range ?? ''}`.trim())
  const json = (value: unknown, status = 200): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  if (path === '/v1/files' && request.method === 'POST')
    return json({ id: 'file-in', filename: 'requests.jsonl' })
  if (path === '/v1/batches' && request.method === 'POST') {
    const key = request.headers['idempotency-key']
    state.created.push({
      body: JSON.parse(Buffer.concat(chunks).toString('utf8')),
      key: Array.isArray(key) ? key[0] : key,
    })
    const how = state.creations.shift()
    if (how === 'lost') return void response.destroy()
    if (how === 'refused') return json({ error: { message: 'Too many batches.', code: 'limit' } }, 400)
    return json(batch('validating'))
  }
  if (path === '/v1/batches/batch-1') {
    const look = state.looks.shift()
    if (look === 'reset') return void response.destroy()
    if (look === 503) return json({ error: { message: 'Restarting.' } }, 503)
    return json(batch(look ?? 'completed'))
  }
  if (path.endsWith('/content'))
    return sendContent(path.includes('file-err') ? failures : answers, request, response)
  json({ error: { message: `No ${path} here.`, code: null } }, 404)
}

function batch(status: string): unknown {
  const isEnded = status === 'completed'
  return {
    id: 'batch-1',
    object: 'batch',
    endpoint: '/v1/chat/completions',
    input_file_id: 'file-in',
    completion_window: '24h',
    status,
    created_at: 1_700_000_000,
    ...(isEnded && { output_file_id: 'file-out', error_file_id: 'file-err', completed_at: 1_700_000_060 }),
    ...(status !== 'validating' && {
      request_counts: { total: 401, completed: isEnded ? 400 : 200, failed: isEnded ? 1 : 0 },
    }),
  }
}

function sendContent(text: string, request: IncomingMessage, response: ServerResponse): void {
  const bytes = Buffer.from(text)
  const from = state.knowsRanges ? Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0
  const rest = bytes.subarray(from)
  if (from > 0)
    response.writeHead(206, { 'content-range': `bytes ${from}-${bytes.byteLength - 1}/${bytes.byteLength}` })
  const cut = rest.byteLength > 1_000 ? state.cuts.shift() : undefined
  if (cut === undefined) return void response.end(rest)
  response.setHeader('content-length', rest.byteLength)
  response.write(rest.subarray(0, cut), () => response.destroy())
}

function dw(...words: string[]): Promise<CommandResult> {
  return runDw(['--server', url, ...words], { cwd: sandbox.folder, env: sandbox.env })
}

test('a run is created once, watched through an outage, and summed up from what the service has', async () => {
  writeFileSync(sandbox.path('requests.jsonl'), jsonl([chatLine(1)]))
  state.looks = ['in_progress', 'reset', 503, 'in_progress']
  state.creations = ['lost']
  const ran = await dw('batches', 'run', 'requests.jsonl', '--watch')
  assert.equal(ran.exitCode, 3, ran.stderr)
  assert.equal(state.created.length, 2)
  assert.ok(state.created[0]?.key !== undefined)
  assert.equal(state.created[0]?.key, state.created[1]?.key, 'both tries carry one key')
  assert.equal(JSON.parse(ran.stdout).status, 'completed')
  assert.match(
    ran.stderr,
    /batch-1: completed, 1 failed\n {2}400 succeeded, 1 failed, 0 missing of 401 requests in 1m/,
  )
  assert.match(ran.stderr, /1 × 429 rate: Slow down\./)
})

test('when one of several files is refused the others go on, and the command for the rest is named', async () => {
  for (const name of ['a', 'b', 'c']) writeFileSync(sandbox.path(`${name}.jsonl`), jsonl([chatLine(1)]))
  state.creations = ['refused']
  const ran = await dw(
    'batches',
    'run',
    'a.jsonl',
    'b.jsonl',
    'c.jsonl',
    '--output-id',
    'ids/all.txt',
    '-m',
    'x',
  )
  assert.equal(ran.exitCode, 2, ran.stderr)
  assert.equal(readFileSync(sandbox.path('ids/all.txt'), 'utf8'), 'batch-1\nbatch-1\n')
  assert.match(ran.stderr, /a\.jsonl: error\[limit\]: Too many batches\./)
  assert.ok(
    ran.stderr.includes(`dw batches run a.jsonl --model x --completion-window 24h --server ${url}\n`),
    ran.stderr,
  )
})

test('a batch that may have been made is not offered to be made again', async () => {
  state.creations = ['lost', 'lost', 'lost', 'lost']
  const ran = await dw('batches', 'run', 'a.jsonl', 'b.jsonl')
  assert.equal(ran.exitCode, 9, ran.stderr)
  assert.equal(ran.stdout.trim().split('\n').length, 1)
  assert.match(ran.stderr, /a\.jsonl: error\[outcome_unknown\]/)
  assert.doesNotMatch(ran.stderr, /not submitted/)
})

for (const knowsRanges of [true, false]) {
  test(`results are whole after cut connections, ${knowsRanges ? 'with' : 'without'} ranges`, async () => {
    Object.assign(state, { knowsRanges, cuts: [70_001, 333], asked: [] })
    const fetched = await dw('batches', 'results', 'batch-1', '-o', 'cut.jsonl')
    assert.equal(fetched.exitCode, 3, fetched.stderr)
    assert.equal(readFileSync(sandbox.path('cut.jsonl'), 'utf8'), answers)
    assert.equal(readFileSync(sandbox.path('cut.errors.jsonl'), 'utf8'), failures)
    assert.match(fetched.stderr, /going on from where it was cut/)
    const asked = state.asked.filter((line) => line.includes('file-out'))
    assert.equal(asked.length, 3, asked.join('\n'))
    assert.match(asked[1] ?? '', /bytes=70\d\d\d-$|bytes=\d+-$/)
    assert.deepEqual(
      readdirSync(sandbox.folder).filter((name) => name.endsWith('.part')),
      [],
    )
  })
}

test('what the service does not have is said, and is no crash', async () => {
  const analytics = await dw('batches', 'analytics', 'batch-1')
  assert.equal(analytics.exitCode, 1)
  assert.match(analytics.stderr, /has no analytics/)
  const retried = await dw('batches', 'retry', 'batch-1')
  assert.equal(retried.exitCode, 1)
  assert.match(retried.stderr, /cannot retry batches/)
})
