/** Retrying where the service cannot: a new batch is made here, of the very bytes of what did not succeed. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { ask } from './kit/batch-api.ts'
import { type OpenAiService, startOpenAiService } from './kit/openai-service.ts'
import { countIds, parseLines } from './kit/requests.ts'
import { type CommandResult, createSandbox, runDw } from './kit/server-process.ts'

const sandbox = createSandbox()
/** Bytes that a program would write otherwise: spaces, a number beyond doubles, escapes, a blank line, a missing newline. */
const requests = [
  '{"custom_id":"r-1", "method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-test","seed":12345678901234567890,"messages":[{"role":"user","content":"1"}]}}',
  '{"custom_id":"r-2","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"\\u00e4 ä"}],"model":"gpt-test"}}',
  ...[3, 4, 5, 6, 7, 8].map(
    (number) =>
      `{ "method": "POST", "custom_id": "r-${number}", "url": "/v1/chat/completions", "body": {"model": "gpt-test", "messages": [{"role":"user","content":"?"}], "temperature": 1.0} }`,
  ),
]
let service: OpenAiService
let headers: { authorization: string }

before(async () => {
  service = await startOpenAiService()
  headers = { authorization: `Bearer ${service.env.OPENAI_API_KEY}` }
  const [first = '', ...rest] = requests
  writeFileSync(sandbox.path('requests.jsonl'), [first, '', ...rest].join('\n'))
})
beforeEach(() => {
  service.askedById.clear()
  service.asked.length = 0
  service.interfere = () => null
  Object.assign(service.knobs, {
    answer: () => null,
    linesPerLook: Number.POSITIVE_INFINITY,
    expiresAfterLines: null,
    writesUnanswered: true,
  })
})
after(async () => {
  await service.stop()
  sandbox.remove()
})

function dw(...words: string[]): Promise<CommandResult> {
  return runDw(words, { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env } })
}

async function look(id: string, times: number): Promise<void> {
  for (let looks = 0; looks < times; looks += 1) await ask(`${service.url}/batches/${id}`, { headers })
}

async function createBatch(): Promise<string> {
  const file = service.addFile('requests.jsonl', readFileSync(sandbox.path('requests.jsonl')))
  const body = JSON.stringify({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { project: 'evals' },
  })
  return (await ask<{ id: string }>(`${service.url}/batches`, { method: 'POST', headers, body })).id
}

/** @returns the id of the batch, which has ended as the knobs say */
async function endedBatch(): Promise<string> {
  const id = await createBatch()
  await look(id, 3)
  return id
}

async function retry(...words: string[]): Promise<{ id: string; metadata: Record<string, string> | null }> {
  const result = await dw('batches', 'retry', ...words, '--json')
  assert.equal(result.exitCode, 0, result.stderr)
  const [batch] = parseLines<{ id: string; metadata: Record<string, string> | null }>(result.stdout)
  assert.ok(batch !== undefined)
  return batch
}

function inputOf(id: string): string[] {
  const file = service.files.get(service.batch(id)?.input_file_id ?? '')
  return file?.bytes.toString('utf8').trimEnd().split('\n') ?? []
}

/** The lines of these numbers, from 1. */
function lines(...numbers: number[]): string[] {
  return numbers.map((number) => requests[number - 1] ?? '')
}

test('R17: only what did not succeed is asked again, byte for byte, and the merged results have every id once', async () => {
  service.knobs.answer = ({ customId, askedBefore }) => {
    if (askedBefore > 0) return null
    if (customId === 'r-2') return { status: 500 }
    if (customId === 'r-5') return { error: { code: 'request_timeout', message: 'too late' } }
    return customId === 'r-7' ? 'drop' : customId === 'r-8' ? 'duplicate' : null
  }
  const origin = await endedBatch()
  const retried = await retry(origin)
  assert.deepEqual(retried.metadata, { project: 'evals', dw_retry_of: origin })
  assert.deepEqual(inputOf(retried.id), lines(2, 5, 7))
  await look(retried.id, 3)
  assert.deepEqual(Object.fromEntries(service.askedById), {
    ...{ 'r-1': 1, 'r-2': 2, 'r-3': 1, 'r-4': 1, 'r-5': 2, 'r-6': 1, 'r-7': 2, 'r-8': 1 },
  })
  for (const [id, path] of [
    [origin, 'first.jsonl'],
    [retried.id, 'second.jsonl'],
  ] as const)
    await dw('batches', 'results', id, '-o', path)
  const joined = await dw(
    ...['files', 'results-join', 'requests.jsonl', 'first.jsonl', 'second.jsonl', '-o', 'merged.jsonl'],
  )
  const merged = parseLines<{ custom_id: string; status: string }>(
    readFileSync(sandbox.path('merged.jsonl'), 'utf8'),
  )
  assert.equal(countIds(merged).size, requests.length, joined.stderr)
  assert.equal(merged.length, requests.length)
  assert.ok(merged.every(({ status }) => status === 'succeeded'))
})

test('R17: while a retry runs, a second one returns it and makes nothing', async () => {
  service.knobs.answer = ({ lineNumber, askedBefore }) =>
    lineNumber === 2 + 1 && askedBefore === 0 ? { status: 500 } : null
  const origin = await endedBatch()
  service.knobs.linesPerLook = 0
  const first = await retry(origin)
  const files = service.files.size
  const again = await dw('batches', 'retry', origin, '--json')
  assert.equal(parseLines<{ id: string }>(again.stdout)[0]?.id, first.id, again.stderr)
  assert.match(again.stderr, /no second one was made/)
  assert.equal(service.files.size, files)
})

for (const writesUnanswered of [true, false]) {
  const left = writesUnanswered ? 'written as expired' : 'in no file'
  test(`R17: requests that a deadline left ${left} run again`, async () => {
    Object.assign(service.knobs, { expiresAfterLines: 6, writesUnanswered })
    const origin = await endedBatch()
    assert.equal(service.batch(origin)?.status, 'expired')
    service.knobs.expiresAfterLines = null
    assert.deepEqual(inputOf((await retry(origin)).id), lines(7, 8))
  })
}

test('R17: what a cancel left runs again only when asked for', async () => {
  service.knobs.linesPerLook = 3
  const id = await createBatch()
  await look(id, 2)
  const running = await dw('batches', 'retry', id)
  assert.equal(running.exitCode, 8, running.stderr)
  assert.match(running.stderr, /only an ended batch can be retried/)
  await ask(`${service.url}/batches/${id}/cancel`, { method: 'POST', headers })
  await look(id, 1)
  const done = service.batch(id)?.request_counts.completed ?? 0
  assert.ok(done > 0 && done < requests.length)
  const refused = await dw('batches', 'retry', id)
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /nothing_to_retry.*were cancelled/)
  assert.match(refused.stderr, /--include-cancelled/)
  assert.deepEqual(inputOf((await retry(id, '--include-cancelled')).id), requests.slice(done))
})

test('R17: a creation whose reply is lost makes one batch, also where keys of requests mean nothing', async () => {
  service.knobs.answer = ({ lineNumber, askedBefore }) =>
    lineNumber === 1 && askedBefore === 0 ? { status: 500 } : null
  const origin = await endedBatch()
  const before = service.batches().length
  let lost = 0
  service.interfere = ({ method, path }) => {
    if (method !== 'POST' || path !== '/v1/batches' || lost > 0) return null
    lost += 1
    return { reset: 'after' }
  }
  await retry(origin)
  assert.equal(service.batches().length, before + 1)
})

test('R17: downloads that are cut in the middle go on, and an input that is gone is named', async () => {
  service.knobs.answer = ({ lineNumber }) => (lineNumber === 4 ? { status: 500 } : null)
  const origin = await endedBatch()
  const input = service.batch(origin)?.input_file_id ?? ''
  const cutOnce = new Set<string>()
  service.interfere = ({ path }) => {
    if (!path.endsWith('/content') || cutOnce.has(path)) return null
    cutOnce.add(path)
    return { cutAfterBytes: 200 }
  }
  assert.deepEqual(inputOf((await retry(origin)).id), lines(3))
  assert.equal(cutOnce.size, 3)
  service.interfere = () => null
  await look(origin, 3)
  service.files.delete(input)
  const gone = await dw('batches', 'retry', origin)
  assert.equal(gone.exitCode, 1)
  assert.match(gone.stderr, /error\[input_gone\]: The input file file-/)
})
