import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { startSimulatedModel } from '../src/sim/simulated-model.ts'
import { makeRequests, questionOf } from '../tools/make-gsm8k.ts'
import { givenMaterial, skipWithout } from './kit/given-material.ts'
import { countIds, parseLines, type RequestLine } from './kit/requests.ts'
import { createSandbox, runDw, startServerProcess } from './kit/server-process.ts'

const sandbox = createSandbox()
const bodies = new Map<string, number>()
const upstream = await startSimulatedModel({
  knobs: {
    ttftMs: 15,
    tokensPerSecond: 4_000,
    jitter: 0.5,
    retryAfterMs: 50,
    errorRates: { rate_limit: 0.02, server_error: 0.02, invalid_json: 0.01, content_filter: 0.02 },
  },
  onCall: ({ body }) => {
    const text = body.toString('utf8')
    bodies.set(text, (bodies.get(text) ?? 0) + 1)
  },
})
after(async () => {
  await upstream.stop()
  sandbox.remove()
})

test('every question of GSM8K comes back exactly once, as answer or as error, through latency and failures', {
  skip: skipWithout(givenMaterial.questions),
}, async (t) => {
  const requestsPath = sandbox.path('gsm8k.jsonl')
  await makeRequests({ from: givenMaterial.questions, to: requestsPath, model: 'sim/chat' })
  const requests = parseLines<RequestLine>(readFileSync(requestsPath, 'utf8'))
  assert.equal(requests.length, 1_319)

  const server = await startServerProcess(sandbox, ['--no-sim'])
  t.after(() => server.kill('SIGKILL'))
  const dw = (...words: string[]) => runDw(words, { cwd: sandbox.folder, env: sandbox.env })
  assert.equal((await dw('upstream', 'add', upstream.url, '--concurrency', '64', '--no-test')).exitCode, 0)
  const ran = await dw('batches', 'run', 'gsm8k.jsonl', '--watch', '--output-id', 'ids.txt')
  assert.equal(ran.exitCode, 3, ran.stderr)
  const id = readFileSync(sandbox.path('ids.txt'), 'utf8').trim()
  const batch = JSON.parse(ran.stdout) as {
    id: string
    status: string
    request_counts: Record<string, number>
  }
  assert.equal(batch.id, id)
  assert.equal(batch.status, 'completed')
  const fetched = await dw('batches', 'results', id, '-o', 'answers.jsonl')
  assert.equal(fetched.exitCode, 3, fetched.stderr)

  const answers = parseLines(readFileSync(sandbox.path('answers.jsonl'), 'utf8'))
  const failures = parseLines(readFileSync(sandbox.path('answers.errors.jsonl'), 'utf8'))
  assert.ok(failures.length > 0)
  assert.equal(batch.request_counts.completed, answers.length)
  assert.equal(batch.request_counts.failed, failures.length)
  const counts = countIds([...answers, ...failures])
  assert.deepEqual(
    requests.map((request) => [request.custom_id, counts.get(request.custom_id)]),
    requests.map((request) => [request.custom_id, 1]),
  )
  assert.equal(counts.size, requests.length)
  // Answers of an ended batch come in input order.
  const order = new Map(requests.map((request, position) => [request.custom_id, position]))
  const positions = answers.map((answer) => order.get(answer.custom_id) ?? -1)
  assert.deepEqual(
    positions,
    positions.toSorted((a, b) => a - b),
  )
  // What is never healed fails, and nothing else.
  assert.deepEqual([...new Set(failures.map((line) => line.response?.status_code))], [400])

  const sent = readFileSync(requestsPath, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.slice(line.indexOf('"body":') + '"body":'.length, -1))
  assert.deepEqual(new Set(bodies.keys()), new Set(sent), 'the upstream received the bodies byte for byte')
  const questions = readFileSync(givenMaterial.questions, 'utf8').trimEnd().split('\n')
  sent.forEach((body, position) => {
    const { messages } = JSON.parse(body) as { messages: { content: string }[] }
    assert.equal(messages[0]?.content, questionOf(questions[position] ?? '', position + 1))
  })
  t.diagnostic(
    `${answers.length} answers, ${failures.length} failures, ${[...bodies.values()].reduce((a, b) => a + b)} calls`,
  )
})
