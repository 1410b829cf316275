/** Every command that makes sense there, against a service with OpenAI's routes alone, named by two variables and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { ask } from './kit/batch-api.ts'
import { type OpenAiService, startOpenAiService } from './kit/openai-service.ts'
import { chatLine, jsonl, parseLines } from './kit/requests.ts'
import { type CommandResult, createSandbox, runDw } from './kit/server-process.ts'

const LINES = 20
const MODEL = 'gpt-test'
const ID = /^batch_[0-9a-f]{32}$/

const sandbox = createSandbox()
let service: OpenAiService

before(async () => {
  service = await startOpenAiService()
  const lines = Array.from({ length: LINES }, (_, number) => chatLine(number, { model: MODEL }))
  writeFileSync(sandbox.path('requests.jsonl'), jsonl(lines))
})
after(async () => {
  await service.stop()
  sandbox.remove()
})

function dw(...words: string[]): Promise<CommandResult> {
  return runDw(words, { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env } })
}

/** Uploads the request file and runs it until it ended. @returns the id of the batch */
async function endedBatch(): Promise<string> {
  const made = await dw('batches', 'run', 'requests.jsonl', '--json')
  assert.equal(made.exitCode, 0, made.stderr)
  const [batch] = parseLines<{ id: string }>(made.stdout)
  assert.ok(batch !== undefined)
  for (let looks = 0; looks < 3; looks += 1) {
    const reply = await fetch(`${service.url}/batches/${batch.id}`, {
      headers: { authorization: `Bearer ${service.env.OPENAI_API_KEY}` },
    })
    await reply.body?.cancel()
  }
  return batch.id
}

type Case = {
  words: (ids: { file: string; batch: string }) => string[]
  exitCode?: number
  /** Also where a service leaves out what it may. */
  readsBatch?: boolean
  /** Of standard output: one value for every line. */
  check: (rows: Record<string, unknown>[], result: CommandResult) => void
}

const one =
  (wanted: Record<string, unknown>): Case['check'] =>
  (rows) => {
    assert.equal(rows.length, 1)
    for (const [name, value] of Object.entries(wanted)) assert.deepEqual(rows[0]?.[name], value, name)
  }

const cases: readonly Case[] = [
  {
    words: () => ['batches', 'list', '--active-first'],
    check: (rows, { stderr }) => assert.ok(rows.length === 1 && stderr === '', stderr),
  },
  { words: () => ['models', 'list'], check: one({ id: MODEL }) },
  {
    words: () => ['files', 'upload', 'requests.jsonl'],
    check: one({ filename: 'requests.jsonl', purpose: 'batch' }),
  },
  { words: () => ['files', 'list', '--all'], check: (rows) => assert.ok(rows.length >= 2) },
  { words: ({ file }) => ['files', 'get', file], check: one({ purpose: 'batch' }) },
  {
    words: ({ file }) => ['files', 'content', file],
    check: (_, { stdout }) => assert.equal(stdout, readFileSync(sandbox.path('requests.jsonl'), 'utf8')),
  },
  {
    words: ({ file }) => ['files', 'cost-estimate', file],
    check: one({ total_requests: LINES, total_estimated_cost: 'not set', priced: false }),
  },
  { words: ({ file }) => ['batches', 'create', '--file', file], check: one({ status: 'validating' }) },
  {
    words: () => ['batches', 'run', 'requests.jsonl', '--watch'],
    exitCode: 3,
    check: (rows, { stderr }) => {
      assert.deepEqual(rows[0]?.request_counts, { total: LINES, completed: LINES - 1, failed: 1 })
      assert.match(stderr, /1 × 400 scripted: scripted 400/)
      assert.match(stderr, /tokens: 190 in, 95 out/)
    },
  },
  { words: ({ batch }) => ['batches', 'get', batch], check: one({ status: 'completed' }) },
  {
    words: () => ['batches', 'list', '--limit', '1'],
    check: (rows) => assert.match(String(rows[0]?.id), ID),
  },
  {
    readsBatch: true,
    words: ({ batch }) => ['batches', 'watch', batch],
    exitCode: 3,
    check: one({ status: 'completed' }),
  },
  {
    readsBatch: true,
    words: ({ batch }) => ['batches', 'results', batch],
    exitCode: 3,
    check: (rows) => assert.equal(rows.length, LINES - 1),
  },
  {
    readsBatch: true,
    words: ({ batch }) => ['batches', 'analytics', batch],
    check: (rows, { stderr }) => {
      const [row] = rows
      assert.deepEqual(row?.requests, { total: LINES, completed: 19, failed: 1, expired: 0, cancelled: 0 })
      assert.equal(row?.total_tokens, 19 * 15)
      assert.deepEqual(row?.latency_ms, { queue: null, first_byte: null, upstream: null })
      assert.deepEqual(row?.attempts, { calls: null, retried: null })
      assert.equal(row?.total_cost, null)
      assert.match(stderr, /has no analytics: these are counted here/)
    },
  },
  {
    words: ({ batch }) => ['batches', 'analytics', batch, '--output', 'table'],
    check: (_, { stdout }) => assert.match(stdout, /Latency\s.*unknown/),
  },
  {
    words: ({ batch }) => ['batches', 'cancel', batch, '--yes'],
    exitCode: 1,
    check: (rows) => assert.equal(rows.length, 0),
  },
  {
    readsBatch: true,
    words: ({ batch }) => ['batches', 'retry', batch],
    check: one({ status: 'validating' }),
  },
  { words: ({ file }) => ['files', 'delete', file, '--yes'], check: one({ deleted: true }) },
  {
    words: () => ['upstream', 'list'],
    exitCode: 4,
    check: (_, { stderr }) =>
      assert.match(stderr, /no_owner_token.*which is no server found on this machine/),
  },
]

for (const isSparse of [false, true]) {
  const look = isSparse ? 'where a service sends only what it must' : 'as OpenAI answers'
  test(`R5: every command works with two variables alone, ${look}`, async (t) => {
    service.knobs.answer = ({ lineNumber }) => (lineNumber === 7 ? { status: 400 } : null)
    const batch = await endedBatch()
    service.knobs.isSparse = isSparse
    const file = service.batch(batch)?.input_file_id ?? ''
    for (const { words, exitCode = 0, check } of cases.filter(({ readsBatch }) => !isSparse || readsBatch)) {
      const given = words({ file, batch })
      await t.test(given.slice(0, 2).join(' '), async () => {
        const from = service.asked.length
        const isData = given.includes('table') || given[1] === 'content'
        const result = await dw(...given, ...(isData ? [] : ['--json']))
        assert.equal(result.exitCode, exitCode, `${given.join(' ')}: ${result.stderr}`)
        check(isData ? [] : parseLines<Record<string, unknown>>(result.stdout), result)
        const ours = service.asked.slice(from).filter(({ path }) => /analytics|retry|estimate/.test(path))
        assert.ok(ours.length <= 1, 'a route that is not there is asked for once')
      })
    }
  })
}

test('R5: an order that a service does not know is not passed off as its own', async () => {
  const headers = { authorization: `Bearer ${service.env.OPENAI_API_KEY}` }
  const file = service.addFile('requests.jsonl', readFileSync(sandbox.path('requests.jsonl')))
  service.knobs.linesPerLook = 0
  const body = JSON.stringify({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  })
  const create = (): Promise<{ id: string }> =>
    ask(`${service.url}/batches`, { method: 'POST', headers, body })
  const [running, cancelled] = [await create(), await create()]
  await ask(`${service.url}/batches/${cancelled.id}/cancel`, { method: 'POST', headers })
  const listed = await dw('batches', 'list', '--active-first', '--limit', '2', '--json')
  assert.deepEqual(
    parseLines<{ id: string }>(listed.stdout).map(({ id }) => id),
    [cancelled.id, running.id],
  )
  assert.match(listed.stderr, /does not put running batches first/)
})
