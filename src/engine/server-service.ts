/** The one `Service`: use-cases put together from their parts. */
import type { Blobs } from '../blobs/blobs.ts'
import type { ServerConfig } from '../domain/config.ts'
import type { StoredFile } from '../domain/file.ts'
import { base32, keyHash, newId } from '../domain/ids.ts'
import { requireWindow } from '../domain/window.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Key, Store } from '../store/store.ts'
import { createAnalytics } from './analytics.ts'
import { createBatchService } from './batch-service.ts'
import { createContentService } from './content.ts'
import { estimateCost } from './cost.ts'
import type { Engine } from './engine.ts'
import { createFileService } from './file-service.ts'
import type { Intake } from './intake.ts'
import { retryBatch } from './retry-batch.ts'
import type { Service } from './service.ts'

export type ServiceParts = {
  store: Store
  blobs: Blobs
  intake: Intake
  results: ResultLog
  engine: Engine
  clock: Clock
  random: Random
  config: ServerConfig
  freeBytes: () => number
}

/** Our own keys begin with this, so that a wrong one is told from any other bearer value. */
export const KEY_PREFIX = 'dw_'
const KEY_BYTES = 20
const TAIL_CHARACTERS = 4

export function createService(parts: ServiceParts): Service {
  const { store, engine, clock, config } = parts
  const files = createFileService(parts)
  const batches = createBatchService(parts)
  const analyse = createAnalytics(parts)
  /** A result file grows while its batch runs; its row learns the size at the end. */
  const grown = (file: StoredFile): StoredFile => {
    const tally = file.kind === 'input' || file.batchId === null ? null : engine.tally(file.batchId)
    return tally === null
      ? file
      : { ...file, bytes: file.kind === 'output' ? tally.outputBytes : tally.errorBytes }
  }
  return {
    windows: config.windows,
    ...createContentService(parts),
    beginUpload: files.beginUpload,
    deleteFile: files.deleteFile,
    async getFile(tenantId, id) {
      const file = await files.getFile(tenantId, id)
      return file === null ? null : grown(file)
    },
    async listFiles(tenantId, filter) {
      const page = await store.files.list(tenantId, filter)
      return { ...page, items: page.items.map(grown) }
    },
    async estimateCost(tenantId, fileId, window) {
      requireWindow(window, config.windows)
      const file = await files.getFile(tenantId, fileId)
      if (file === null || file.inspection === null) return null
      return estimateCost({ id: file.id, inspection: file.inspection }, window, config)
    },
    createBatch: (tenantId, request) => batches.createBatch(tenantId, request, null),
    getBatch: batches.getBatch,
    listBatches: batches.listBatches,
    cancelBatch: batches.cancelBatch,
    retryBatch: (tenantId, id, options) =>
      retryBatch({ ...parts, ...batches, beginUpload: files.beginUpload }, tenantId, { id, ...options }),
    liveState: (batchId) => engine.live(batchId),
    async analyse(tenantId, id) {
      const batch = await batches.getBatch(tenantId, id)
      return batch === null ? null : analyse(batch)
    },
    records: (batch) => parts.results.records(batch.seq),
    models: () => engine.models(),
    upstreams: () => engine.upstreams.list(),
    addUpstream: (request) => engine.upstreams.add(request),
    removeUpstream: (name) => engine.upstreams.remove(name),
    testUpstream: (name) => engine.upstreams.test(name),
    ...createKeyUses(parts),
    async checkReady() {
      engine.checkReady()
      await store.check()
      return { wallClockDriftMs: clock.wallClockDriftMs() }
    },
    counters: () => engine.counters(),
  }
}

function createKeyUses(parts: ServiceParts): Pick<Service, 'createKey' | 'listKeys' | 'revokeKey'> {
  const { store, clock, random } = parts
  return {
    async createKey(request) {
      const createdAt = clock.now()
      const secret = KEY_PREFIX + base32(random.bytes(KEY_BYTES))
      const key: Key = {
        id: newId('key_', createdAt, random),
        tenantId: request.tenantId ?? newId('tenant_', createdAt, random),
        name: request.name,
        tail: secret.slice(-TAIL_CHARACTERS),
        createdAt,
        expiresAt: request.expiresAt,
        revokedAt: null,
        lastUsedAt: null,
      }
      await store.keys.create(key, keyHash(secret))
      return { key, secret }
    },
    listKeys: () => store.keys.list(),
    revokeKey: (id) => store.keys.revoke(id, clock.now()),
  }
}
