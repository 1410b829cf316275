import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openDiskBlobs } from '../src/blobs/disk-blobs.ts'
import { presentEvent } from '../src/contract/present-webhooks.ts'
import type { Batch } from '../src/domain/batch.ts'
import type { ServerConfig } from '../src/domain/config.ts'
import { startIntake } from '../src/engine/intake.ts'
import { createEngine } from '../src/engine/local-engine.ts'
import { PriceBook } from '../src/engine/price-book.ts'
import { createService } from '../src/engine/server-service.ts'
import { WebhookSender } from '../src/engine/webhook-sender.ts'
import { systemRandom } from '../src/lib/random.ts'
import { openDiskResultLog } from '../src/results/disk-result-log.ts'
import { type RunningServer, startServer } from '../src/server.ts'
import { readServerConfig } from '../src/server-config.ts'
import { openSqliteStore } from '../src/store/sqlite-store.ts'
import {
  ask,
  batchWhen,
  createBatch,
  endedStatuses,
  getBatch,
  readContent,
  uploadFile,
} from './kit/batch-api.ts'
import { testDatabase } from './kit/deployment.ts'
import { givenMaterial, skipWithout } from './kit/given-material.ts'
import { createJumpingClock } from './kit/jumping-clock.ts'
import { chatLine, countIds, jsonl, parseLines, type ResultLine } from './kit/requests.ts'
import {
  createGate,
  errorReply,
  plainAnswer,
  type Script,
  startScriptedUpstream,
} from './kit/scripted-upstream.ts'
import { readWireSchema } from './kit/wire-schema.ts'

const root = mkdtempSync(join(tmpdir(), 'dw-'))
/** Result lines of all tests, for the check against the published schema. */
const seen: unknown[] = []
after(() => rmSync(root, { recursive: true, force: true }))

function configOf(dataDir: string, upstream: { url: string }, concurrency = 4): ServerConfig {
  const config = readServerConfig({ file: null, flags: { port: 0, dataDir, simulated: 'off' }, env: {} })
  return {
    ...config,
    upstreams: [{ name: 'm', url: upstream.url, key: null, concurrency }],
    logLevel: 'silent',
    timing: { ...config.timing, retryDelayMs: 5, retryDelayMsMax: 50, cancelGraceMs: 500, drainMs: 50 },
  }
}

async function serve(config: ServerConfig): Promise<RunningServer> {
  const url = await testDatabase(config.dataDir)
  const database = url === null ? null : { url, isUnsafeAllowed: false }
  return startServer(
    { ...config, database },
    { mayMovePort: true, env: { DW_STATE_DIR: join(root, 'state') } },
  )
}

/** A server of its own with an engine that answers as the script says. */
async function withServer(
  options: { models?: string[]; script?: Script; concurrency?: number },
  body: (facts: {
    server: RunningServer
    upstream: Awaited<ReturnType<typeof startScriptedUpstream>>
    upload: (lines: readonly unknown[]) => Promise<string>
    restart: () => Promise<RunningServer>
  }) => Promise<void>,
): Promise<void> {
  const upstream = await startScriptedUpstream({
    models: options.models ?? ['m'],
    ...(options.script === undefined ? {} : { script: options.script }),
  })
  const dataDir = mkdtempSync(join(root, 'data-'))
  const config = configOf(dataDir, upstream, options.concurrency)
  let server = await serve(config)
  const upload = (lines: readonly unknown[]): Promise<string> => {
    const path = join(dataDir, 'requests.jsonl')
    writeFileSync(path, jsonl(lines))
    return uploadFile(server.url, path)
  }
  const restart = async (): Promise<RunningServer> => {
    await server.stop()
    server = await serve(config)
    return server
  }
  try {
    await body({ server, upstream, upload, restart })
  } finally {
    await server.stop()
    await upstream.stop()
  }
}

function lines(count: number, options: { model?: string; badEvery?: number } = {}): unknown[] {
  return Array.from({ length: count }, (_, number) => {
    const isBad = options.badEvery !== undefined && number % options.badEvery === 0
    return chatLine(number, { model: options.model ?? 'm', ...(isBad ? { content: `bad ${number}` } : {}) })
  })
}

const refuseBad: Script = (call) => (call.body.includes('bad') ? errorReply(400, { code: 'no' }) : null)

async function results(
  server: RunningServer,
  batch: { output_file_id: string | null; error_file_id: string | null },
) {
  const output = parseLines(await readContent(server.url, batch.output_file_id))
  const errors = parseLines(await readContent(server.url, batch.error_file_id))
  seen.push(...output, ...errors)
  return { output, errors, all: [...output, ...errors] }
}

function assertEachOnce(all: readonly ResultLine[], count: number): void {
  const counts = countIds(all)
  assert.equal(all.length, count)
  assert.equal(counts.size, count)
}

function post(url: string): Promise<Response> {
  return fetch(url, { method: 'POST' })
}

test('a batch with failures completes, its counts add up, and each line is in one of the two files once', async () => {
  await withServer({ script: refuseBad }, async ({ server, upload }) => {
    const { id } = await createBatch(server.url, await upload(lines(30, { badEvery: 5 })))
    const batch = await batchWhen(server.url, id, ({ status }) => endedStatuses.has(status))
    assert.equal(batch.status, 'completed')
    assert.deepEqual(batch.request_counts, { total: 30, completed: 24, failed: 6 })
    const { output, errors, all } = await results(server, batch)
    assert.deepEqual([output.length, errors.length], [24, 6])
    assertEachOnce(all, 30)
    for (const line of errors) assert.deepEqual([line.response?.status_code, line.error], [400, null])
  })
})

test('a batch whose every line failed is completed and has no output file', async () => {
  await withServer({ script: () => errorReply(422) }, async ({ server, upload }) => {
    const { id } = await createBatch(server.url, await upload(lines(5)))
    const batch = await batchWhen(server.url, id, ({ status }) => endedStatuses.has(status))
    assert.deepEqual([batch.status, batch.output_file_id], ['completed', null])
    assert.deepEqual(batch.request_counts, { total: 5, completed: 0, failed: 5 })
    assertEachOnce((await results(server, batch)).errors, 5)
  })
})

test('a cancel starts no further call, keeps what was in flight and answers in time, and cancels the rest', async () => {
  const gate = createGate()
  const script: Script = (call) =>
    call.number === 0 ? { breakAt: 'hang' } : { gate: gate.opened, body: plainAnswer(call) }
  await withServer({ script, concurrency: 3 }, async ({ server, upstream, upload }) => {
    const { id } = await createBatch(server.url, await upload(lines(8)))
    await upstream.arrived(3)
    const reply = await post(`${server.url}/v1/batches/${id}/cancel`)
    assert.equal(((await reply.json()) as { status: string }).status, 'cancelling')
    gate.open()
    const batch = await batchWhen(server.url, id, ({ status }) => endedStatuses.has(status))
    assert.equal(batch.status, 'cancelled')
    assert.equal(upstream.calls.length, 3)
    const { output, errors, all } = await results(server, batch)
    assertEachOnce(all, 8)
    assert.equal(output.length, 2)
    assert.deepEqual([...new Set(errors.map((line) => line.error?.code))], ['batch_cancelled'])
    assert.deepEqual(batch.request_counts, { total: 8, completed: 2, failed: 0 })
  })
})

/** The engine on real storage under a clock of the test, with a batch row whose deadline the test states. */
async function withEngine(
  upstream: { url: string },
  body: (facts: Awaited<ReturnType<typeof openEngine>>) => Promise<void>,
): Promise<void> {
  const parts = await openEngine(upstream)
  try {
    await body(parts)
  } finally {
    await parts.engine.stop()
    await parts.sender.stop()
    await Promise.all([parts.intake.stop(), parts.results.close(), parts.blobs.close(), parts.store.close()])
  }
}

async function openEngine(upstream: { url: string }) {
  const dataDir = mkdtempSync(join(root, 'engine-'))
  const config = configOf(dataDir, upstream)
  const onDeath = (cause: Error): void => assert.fail(cause)
  const clock = createJumpingClock()
  const blobFolder = join(dataDir, 'blobs')
  const store = await openSqliteStore({ path: join(dataDir, 'dw.sqlite'), onDeath })
  const blobs = openDiskBlobs({ folder: blobFolder })
  const results = await openDiskResultLog({ folder: join(dataDir, 'results'), clock, onDeath })
  const random = systemRandom
  const intake = startIntake({ blobFolder, limits: config.limits, random, onDeath })
  const freeBytes = (): number => Number.MAX_SAFE_INTEGER
  const common = { store, blobs, results, clock, random, config, freeBytes }
  const sender = new WebhookSender({
    store,
    clock,
    isPrivateAllowed: true,
    eventOf: presentEvent,
    onTrouble: (_what, cause) => assert.fail(String(cause)),
  })
  const engine = createEngine({
    ...common,
    keyFiles: { read: () => null, write: () => undefined, remove: () => undefined },
    fixedUpstreams: config.upstreams,
    onAnnounced: () => sender.wake(),
    onTrouble: (_what, cause) => assert.fail(String(cause)),
  })
  const service = createService({
    ...common,
    intake,
    engine,
    sender,
    prices: await PriceBook.open(store.prices),
  })
  const createRow = async (requests: readonly unknown[], windowMs: number): Promise<string> => {
    const upload = await service.beginUpload('local')
    await upload.write(Buffer.from(jsonl(requests)))
    const file = await upload.finish({ filename: 'a.jsonl', purpose: 'batch', expiresAfterSeconds: null })
    const { batch } = await store.batches.create(
      {
        id: 'batch_1',
        tenantId: 'local',
        inputFileId: file.id,
        endpoint: '/v1/chat/completions',
        window: '24h',
        outputFileIdReserved: 'file-output',
        errorFileIdReserved: 'file-error',
        createdAt: clock.now(),
        expiresAt: clock.now() + windowMs,
        metadata: null,
        keyId: null,
        outputExpiresAfterSeconds: null,
        retryOf: null,
      },
      null,
    )
    return batch.id
  }
  const read = async (id: string): Promise<ResultLine[]> => {
    const content = await service.openContent('local', id)
    assert.ok(content !== null)
    const chunks: Uint8Array[] = []
    for await (const chunk of content.read({ start: 0, end: content.bytes })) chunks.push(chunk)
    return parseLines(Buffer.concat(chunks).toString('utf8'))
  }
  const when = async (id: string, isWanted: (batch: Batch) => boolean): Promise<Batch> => {
    for (let look = 0; look < 1_000; look += 1) {
      const batch = await service.getBatch('local', id)
      if (batch !== null && isWanted(batch)) return batch
      await delay(10)
    }
    return assert.fail('waited in vain')
  }
  return { engine, sender, store, blobs, results, intake, clock, createRow, read, when }
}

test('a batch that is cancelled while validating has no files and counts of zero', async () => {
  const upstream = await startScriptedUpstream({ models: ['m'] })
  await withEngine(upstream, async ({ engine, store, clock, createRow, when }) => {
    const id = await createRow(lines(3), 60_000)
    assert.ok(await store.batches.cancel(id, clock.now()))
    await engine.start()
    const batch = await when(id, ({ status }) => status === 'cancelled')
    assert.deepEqual([batch.outputFileId, batch.errorFileId, batch.linesTotal], [null, null, 0])
    assert.deepEqual([batch.tally.completed, batch.tally.failed, batch.tally.cancelled], [0, 0, 0])
    assert.equal(upstream.calls.length, 0)
  })
  await upstream.stop()
})

test('at its deadline a batch keeps what is answered, and the rest expires and counts as neither completed nor failed', async () => {
  const script: Script = (call) => (call.body.includes('bad') ? { breakAt: 'hang' } : null)
  const upstream = await startScriptedUpstream({ models: ['m'], script })
  await withEngine(upstream, async ({ engine, clock, createRow, read, when }) => {
    await engine.start()
    const held = Array.from({ length: 5 }, (_, at) =>
      chatLine(100 + at, { model: 'm', content: `bad ${at}` }),
    )
    const id = await createRow([...lines(6), ...held], 60_000)
    engine.wake(id)
    await when(id, ({ tally }) => tally.completed === 6)
    await upstream.arrived(10)
    clock.jump(60_001)
    const batch = await when(id, ({ status }) => status === 'expired')
    assert.deepEqual([batch.tally.completed, batch.tally.failed, batch.tally.expired], [6, 0, 5])
    const [output, errors] = [await read('file-output'), await read('file-error')]
    seen.push(...output, ...errors)
    assertEachOnce([...output, ...errors], 11)
    assert.deepEqual([output.length, errors.length], [6, 5])
    assert.deepEqual([...new Set(errors.map((line) => line.error?.code))], ['batch_expired'])
    assert.equal(upstream.calls.length, 10)
  })
  await upstream.stop()
})

test('an output file cannot be deleted while its batch is live, and afterwards its deletion keeps counts and analytics', async () => {
  const gate = createGate()
  const script: Script = (call) => (call.number === 0 ? null : { gate: gate.opened, body: plainAnswer(call) })
  await withServer({ script, concurrency: 1 }, async ({ server, upload }) => {
    const { id } = await createBatch(server.url, await upload(lines(3)))
    const live = await batchWhen(server.url, id, (batch) => batch.output_file_id !== null)
    const remove = (): Promise<Response> =>
      fetch(`${server.url}/v1/files/${live.output_file_id}`, { method: 'DELETE' })
    assert.equal((await remove()).status, 409)
    gate.open()
    const batch = await batchWhen(server.url, id, ({ status }) => status === 'completed')
    const analytics = await ask(`${server.url}/v1/batches/${id}/analytics`)
    assert.equal((await remove()).status, 200)
    assert.equal((await fetch(`${server.url}/v1/files/${live.output_file_id}/content`)).status, 404)
    assert.deepEqual(
      (await ask<typeof batch>(`${server.url}/v1/batches/${id}`)).request_counts,
      batch.request_counts,
    )
    assert.deepEqual(await ask(`${server.url}/v1/batches/${id}/analytics`), analytics)
  })
})

test('a server that stops in the middle goes on where it was, and each line ends once', async () => {
  const script: Script = (call) => (call.number < 8 ? null : { breakAt: 'hang' })
  await withServer({ script }, async ({ server, upstream, upload, restart }) => {
    const { id } = await createBatch(server.url, await upload(lines(40)))
    await upstream.arrived(12)
    await batchWhen(server.url, id, (batch) => batch.request_counts.completed === 8)
    const answered = upstream.calls.slice(0, 8).map((call) => call.key)
    upstream.setScript(() => null)
    const again = await restart()
    const batch = await batchWhen(again.url, id, ({ status }) => endedStatuses.has(status))
    assert.equal(batch.status, 'completed')
    assert.deepEqual(batch.request_counts, { total: 40, completed: 40, failed: 0 })
    assertEachOnce((await results(again, batch)).output, 40)
    for (const key of answered) assert.equal(upstream.callsByKey.get(key), 1)
  })
})

test('a batch with a shorter window overtakes one that was created before it', async () => {
  const gate = createGate()
  const script: Script = (call) => (call.number === 0 ? { gate: gate.opened, body: plainAnswer(call) } : null)
  await withServer({ script, concurrency: 1 }, async ({ server, upstream, upload }) => {
    const late = await createBatch(server.url, await upload(lines(300)))
    await upstream.arrived(1)
    const urgentLines = Array.from({ length: 3 }, (_, at) => chatLine(at, { model: 'm', content: 'urgent' }))
    const urgentFile = await upload(urgentLines)
    const urgent = await createBatch(server.url, urgentFile, { completion_window: '1h' })
    await batchWhen(server.url, urgent.id, ({ status }) => status === 'in_progress')
    gate.open()
    await batchWhen(server.url, urgent.id, ({ status }) => status === 'completed')
    await batchWhen(server.url, late.id, ({ status }) => status === 'completed')
    const isUrgent = upstream.calls.map((call) => call.body.includes('urgent'))
    assert.equal(isUrgent.filter(Boolean).length, 3)
    assert.ok(
      isUrgent.lastIndexOf(true) < isUrgent.lastIndexOf(false) - 100,
      'the urgent lines were not last',
    )
  })
})

for (const other of ['m', 'n']) {
  test(`bad lines of one batch do not keep another waiting (its model: ${other})`, async () => {
    const script: Script = (call) => (call.body.includes('bad') ? errorReply(500) : null)
    await withServer({ models: ['m', 'n'], script }, async ({ server, upstream, upload }) => {
      const bad = await createBatch(server.url, await upload(lines(10, { badEvery: 1 })))
      await upstream.arrived(20)
      assert.equal((await getBatch(server.url, bad.id)).request_counts.failed, 0)
      const good = await createBatch(server.url, await upload(lines(30, { model: other })))
      await batchWhen(server.url, good.id, ({ status }) => status === 'completed')
    })
  })
}

test('every result line has the published shape', { skip: skipWithout(givenMaterial.schema) }, () => {
  const schema = readWireSchema(givenMaterial.schema)
  assert.ok(seen.length > 80)
  assert.deepEqual(
    seen.flatMap((line) => schema.problems('BatchRequestOutputStrict', line)),
    [],
  )
})
