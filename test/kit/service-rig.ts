/**
 * The use-cases behind the routes on real storage, with a clock and an engine that the test moves by hand: the engine notes who
 * was woken and shows the tallies it is told; `answer` and `end` do to a batch what the running engine would.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Blobs } from '../../src/blobs/blobs.ts'
import { openDiskBlobs } from '../../src/blobs/disk-blobs.ts'
import { presentEvent } from '../../src/contract/present-webhooks.ts'
import type { Batch, Outcome, Tally } from '../../src/domain/batch.ts'
import type { PriceRule, ServerConfig } from '../../src/domain/config.ts'
import type { StoredFile } from '../../src/domain/file.ts'
import { resultFile } from '../../src/engine/closer.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { startIntake } from '../../src/engine/intake.ts'
import { findModels } from '../../src/engine/line-models.ts'
import { PriceBook } from '../../src/engine/price-book.ts'
import { createService } from '../../src/engine/server-service.ts'
import type { NewBatchRequest, Service } from '../../src/engine/service.ts'
import { foldUsage } from '../../src/engine/usage.ts'
import { WebhookSender } from '../../src/engine/webhook-sender.ts'
import { createSeededRandom } from '../../src/lib/random.ts'
import { openDiskResultLog } from '../../src/results/disk-result-log.ts'
import type { Answer, ResultLog } from '../../src/results/result-log.ts'
import { readServerConfig } from '../../src/server-config.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { createHandClock, type HandClock } from './hand-clock.ts'

export const TENANT = 'local'

type HandEngine = Engine & {
  /** Ids of the batches it was woken for. */
  woken: string[]
  /** What it holds live. */
  tallies: Map<string, Tally>
}

/** A line's end; what is absent is that of a plain success or failure. */
export type PlannedAnswer = Partial<Answer> & {
  lineIndex: number
  outcome: Outcome
  /** Its result line, in place of `lineText`. */
  text?: string
}

export type Rig = {
  service: Service
  store: Store
  blobs: Blobs
  results: ResultLog
  clock: HandClock
  engine: HandEngine
  prices: PriceBook
  config: ServerConfig
  folder: string
  upload(content: string | Uint8Array, more?: { filename?: string; seconds?: number }): Promise<StoredFile>
  create(fileId: string, more?: Partial<NewBatchRequest>): Promise<Batch>
  /** Validates the batch when it is new, and makes these ends durable. */
  answer(batchId: string, answers: readonly PlannedAnswer[]): Promise<void>
  end(batchId: string, as: 'completed' | 'expired' | 'cancelled'): Promise<Batch>
  read(fileId: string): Promise<string>
  close(): Promise<void>
}

export type RigOptions = {
  limits?: Partial<ServerConfig['limits']>
  prices?: readonly PriceRule[]
  freeBytes?: () => number
  /** Puts something between the use-cases and the store, for faults. */
  wrapStore?: (store: Store) => Store
}

/** For one test that needs its own; tests that do not disturb each other share an `openRig`. */
export async function withRig(options: RigOptions, body: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await openRig(options)
  try {
    await body(rig)
  } finally {
    await rig.close()
  }
}

export async function openRig(options: RigOptions = {}): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const blobFolder = join(folder, 'blobs')
  const onDeath = (cause: Error): void => assert.fail(cause)
  const clock = createHandClock()
  const random = createSeededRandom(1)
  const base = readServerConfig({ file: null, flags: { dataDir: folder }, env: {} })
  const limits = { ...base.limits, ...options.limits }
  const config = { ...base, limits }
  const blobs = openDiskBlobs({ folder: blobFolder })
  const intake = startIntake({ blobFolder, limits, random, onDeath })
  const [store, results] = await Promise.all([
    openSqliteStore({ path: join(folder, 'dw.sqlite'), onDeath }),
    openDiskResultLog({ folder: join(folder, 'results'), clock, onDeath }),
  ])
  const engine = createHandEngine()
  const sender = new WebhookSender({
    store,
    clock,
    isPrivateAllowed: true,
    eventOf: presentEvent,
    onTrouble: (_what, cause) => assert.fail(String(cause)),
  })
  const prices = await PriceBook.open(store.prices)
  await prices.set(options.prices ?? [], 0)
  const service = createService({
    store: options.wrapStore?.(store) ?? store,
    blobs,
    intake,
    results,
    engine,
    clock,
    random,
    config,
    sender,
    prices,
    freeBytes: options.freeBytes ?? (() => Number.MAX_SAFE_INTEGER),
  })
  const parts = { service, store, blobs, results, clock, engine, prices, config, folder }
  const close = async (): Promise<void> => {
    await sender.stop()
    await Promise.all([intake.stop(), results.close(), blobs.close(), store.close()])
    rmSync(folder, { recursive: true })
  }
  return { ...parts, ...createMoves(parts), close }
}

function createMoves(parts: Pick<Rig, 'service' | 'store' | 'blobs' | 'results' | 'clock' | 'engine'>) {
  const { service, store, results, clock, engine } = parts
  const rowOf = async (id: string): Promise<Batch> => {
    const batch = await store.batches.get(id, null)
    assert.ok(batch !== null, `batch ${id} has a row`)
    return batch
  }
  const opened = async (id: string): Promise<Batch> => {
    const batch = await rowOf(id)
    if (batch.status !== 'validating') return batch
    const file = await store.files.getEvenDeleted(batch.inputFileId)
    const models = file?.inspection?.models ?? []
    const model = models.length === 1 ? (models[0]?.model ?? null) : null
    const linesTotal = file?.inspection?.lines ?? 0
    await store.batches.start(id, { linesTotal, model, at: clock.now() })
    await results.open(batch.seq, linesTotal)
    return rowOf(id)
  }
  const moves: Pick<Rig, 'upload' | 'create' | 'answer' | 'end' | 'read'> = {
    async upload(content, more = {}) {
      const upload = await service.beginUpload(TENANT)
      await upload.write(Buffer.from(content))
      const filename = more.filename ?? 'questions.jsonl'
      return upload.finish({ filename, purpose: 'batch', expiresAfterSeconds: more.seconds ?? null })
    },
    create(inputFileId, more = {}) {
      // Batches made at one instant have no order of their own.
      clock.advance(1)
      return service.createBatch(TENANT, {
        inputFileId,
        endpoint: '/v1/chat/completions',
        window: '24h',
        metadata: null,
        outputExpiresAfterSeconds: null,
        idempotencyKey: null,
        keyId: null,
        ...more,
      })
    },
    async answer(batchId, answers) {
      const batch = await opened(batchId)
      for (const planned of answers)
        results.append(batch.seq, answerOf(planned, clock.now()), lineOf(planned))
      const tally = await results.flush(batch.seq)
      engine.tallies.set(batchId, tally)
      if (tally.outputLines > 0)
        await store.batches.revealOutput(batchId, resultFile(batch, 'output', tally, clock.now()))
    },
    async end(batchId, as) {
      const batch = await opened(batchId)
      const at = clock.now()
      const tally = await results.seal(batch.seq)
      if (as === 'expired') await store.batches.finalize(batchId, { endsAs: 'expired', at })
      if (as === 'cancelled') await store.batches.cancel(batchId, at)
      const kinds = (['output', 'error'] as const).filter((kind) => tally[`${kind}Lines`] > 0)
      const files = kinds.map((kind) => resultFile(batch, kind, tally, at))
      const usage = await foldUsage(batch, { results, models: await findModels(batch, parts) })
      assert.ok(await store.batches.end(batchId, { as, tally, at, files, usage }))
      engine.tallies.delete(batchId)
      results.release(batch.seq)
      return rowOf(batchId)
    },
    async read(fileId) {
      const content = await service.openContent(TENANT, fileId)
      assert.ok(content !== null, `file ${fileId} can be read`)
      return collect(content.read({ start: 0, end: content.bytes }))
    },
  }
  return moves
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** The result line that `answer` writes for a line. */
export function lineText(lineIndex: number): string {
  return `{"line":${lineIndex}}\n`
}

function lineOf(planned: PlannedAnswer): string[] {
  return [planned.text ?? lineText(planned.lineIndex).trimEnd()]
}

function answerOf(planned: PlannedAnswer, now: number): Answer {
  const isCalled = planned.outcome === 'succeeded' || planned.outcome === 'failed'
  return {
    httpStatus: planned.outcome === 'succeeded' ? 200 : isCalled ? 400 : 0,
    attempts: isCalled ? 1 : 0,
    startedAt: now,
    recordedAt: now,
    upstreamMs: isCalled ? 20 : 0,
    firstByteMs: isCalled ? 10 : 0,
    usage:
      planned.outcome === 'succeeded'
        ? { promptTokens: 100, cachedTokens: 40, completionTokens: 10, reasoningTokens: 5 }
        : null,
    upstreamNumber: isCalled ? 0 : 255,
    ...planned,
  }
}

function createHandEngine(): HandEngine {
  const woken: string[] = []
  const tallies = new Map<string, Tally>()
  return {
    woken,
    tallies,
    start: async () => undefined,
    wake: (batchId) => void woken.push(batchId),
    tally: (batchId) => tallies.get(batchId) ?? null,
    live: () => null,
    models: () => [],
    passThrough: { call: () => assert.fail() },
    upstreams: {
      list: () => [],
      add: () => assert.fail(),
      remove: async () => false,
      test: async () => null,
    },
    counters: () => assert.fail(),
    checkReady: () => undefined,
    stop: async () => ({ unfinishedBatches: 0 }),
  }
}
