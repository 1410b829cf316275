import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { batchWhen, createBatch, getBatch, readContent, uploadFile } from './kit/batch-api.ts'
import { countIds, parseLines, writeLargeFile } from './kit/requests.ts'
import { createGate, startScriptedUpstream } from './kit/scripted-upstream.ts'
import { configFlags, createSandbox, startServerProcess } from './kit/server-process.ts'

const REQUESTS = 10_000
const CONCURRENCY = 32
/** Calls that have arrived when the server is killed under full load. */
const KILLED_AT = 3_000
/** Later calls hang until the second kill. */
const HELD_FROM = 7_000

const sandbox = createSandbox()
const upstream = await startScriptedUpstream({ models: ['test'], keepsBodies: false })
after(async () => {
  await upstream.stop()
  sandbox.remove()
})

test('a server killed twice in the middle of 10,000 requests completes them, and asks for no durable answer again', async (t) => {
  const file = sandbox.path('requests.jsonl')
  await writeLargeFile(file, { count: REQUESTS, lineBytes: 300, model: 'test' })
  const flags = configFlags(sandbox, { url: upstream.url, concurrency: CONCURRENCY })
  let server = await startServerProcess(sandbox, flags)
  t.after(() => server.kill('SIGKILL'))
  const { id } = await createBatch(server.url, await uploadFile(server.url, file))

  // Under full load: what a reader has read is behind the sync mark, whatever the server was doing.
  await upstream.arrived(KILLED_AT)
  const { output_file_id: outputId } = await batchWhen(
    server.url,
    id,
    (batch) => batch.output_file_id !== null,
  )
  const readBefore = await readContent(server.url, outputId)
  const callsBefore = new Map(upstream.callsByKey)
  const shownBefore = (await getBatch(server.url, id)).request_counts.completed
  await server.kill('SIGKILL')
  const keysAtKill = new Map(upstream.callsByKey)
  const durable = parseLines(readBefore)
  assert.ok(durable.length > 0 && durable.length < REQUESTS, `${durable.length} durable at the first kill`)
  assert.ok([...callsBefore.values()].every((calls) => calls === 1))

  const gate = createGate()
  upstream.setScript((call) => (call.number >= HELD_FROM ? { gate: gate.opened, breakAt: 'reset' } : null))
  server = await startServerProcess(sandbox, flags)
  const shownAfter = (await getBatch(server.url, id)).request_counts.completed
  assert.ok(shownAfter >= shownBefore, `${shownBefore} were shown as completed, then ${shownAfter}`)
  const resumed = await readContent(server.url, outputId)
  assert.ok(resumed.startsWith(readBefore), 'what was read before the crash stays, at the same place')

  // Everything that can be answered is answered and durable; exactly the held calls are in flight.
  const answeredBefore = (batch: { request_counts: { completed: number } }): boolean =>
    upstream.inFlight() === CONCURRENCY && batch.request_counts.completed === recordable()
  const recordable = (): number => upstream.callsByKey.size - CONCURRENCY
  await upstream.arrived(HELD_FROM + CONCURRENCY)
  await batchWhen(server.url, id, answeredBefore)
  const heldKeys = new Set(upstream.calls.slice(HELD_FROM).map((call) => call.key))
  const callsAtSecondKill = new Map(upstream.callsByKey)
  await server.kill('SIGKILL')
  gate.open()
  upstream.setScript(() => null)

  server = await startServerProcess(sandbox, flags)
  const ended = await batchWhen(server.url, id, (batch) => batch.status === 'completed')
  assert.deepEqual(ended.request_counts, { total: REQUESTS, completed: REQUESTS, failed: 0 })
  assert.equal(ended.error_file_id, null)
  const output = await readContent(server.url, ended.output_file_id)
  assert.ok(output.startsWith(resumed))
  const counts = countIds(parseLines(output))
  assert.equal(counts.size, REQUESTS)
  assert.ok([...counts.values()].every((count) => count === 1))

  // The second kill found nothing unsynced: after it only the calls in flight were made again.
  for (const [key, calls] of upstream.callsByKey) {
    const expected = (callsAtSecondKill.get(key) ?? 0) + (heldKeys.has(key) ? 1 : 0)
    assert.equal(calls, Math.max(expected, 1), `calls of one line: ${calls}`)
  }
  // The first kill: a line is named by the hash of its answer, so a durable line is found among the calls.
  const keysOfDurable = keysOf(durable.map((line) => answerOf(line.response?.body)))
  assert.equal(keysOfDurable.length, durable.length)
  const againAfterFirst = keysOfDurable.filter((key) => (callsAtSecondKill.get(key) ?? 0) > 1)
  assert.deepEqual(againAfterFirst, [])
  const twice = [...callsAtSecondKill.values()].filter((calls) => calls > 1).length
  assert.ok(twice <= keysAtKill.size - durable.length)
  t.diagnostic(
    `first kill: ${keysAtKill.size} lines asked, ${durable.length} read back, ${twice} asked again`,
  )
  assert.equal((await getBatch(server.url, id)).status, 'completed')
  assert.equal(await server.stop(), 0)
})

/** The plain answer's content is the hash of the request body. */
function answerOf(body: Record<string, unknown> | undefined): string {
  return (body as { choices: { message: { content: string } }[] }).choices[0]?.message.content ?? ''
}

function keysOf(bodyHashes: readonly string[]): string[] {
  const keyByHash = new Map(upstream.calls.map((call) => [call.bodyHash, call.key]))
  return bodyHashes.map((hash) => keyByHash.get(hash)).filter((key) => key !== undefined)
}
