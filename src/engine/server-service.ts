/** The one `Service`: use-cases put together from their parts. */
import type { Blobs } from '../blobs/blobs.ts'
import type { ServerConfig } from '../domain/config.ts'
import type { StoredFile } from '../domain/file.ts'
import { base32, keyHash, newId } from '../domain/ids.ts'
import { SIMULATED_PREFIX } from '../domain/price.ts'
import { requireWindow } from '../domain/window.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Key, Store } from '../store/store.ts'
import { createAnalytics } from './analytics.ts'
import { selectBatches } from './analytics-selection.ts'
import { createBatchService } from './batch-service.ts'
import { createContentService } from './content.ts'
import { estimateBatch, estimateFile } from './cost.ts'
import type { Engine } from './engine.ts'
import { createFileService } from './file-service.ts'
import type { Intake } from './intake.ts'
import type { PriceBook } from './price-book.ts'
import { createRequests } from './requests.ts'
import { retryBatch } from './retry-batch.ts'
import type { DiskSpace, ModelFacts, Service } from './service.ts'
import { reportUsage } from './usage.ts'
import type { WebhookSender } from './webhook-sender.ts'
import { createWebhookService } from './webhook-service.ts'

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
  sender: WebhookSender
  prices: PriceBook
}

/** Our own keys begin with this, so that a wrong one is told from any other bearer value. */
export const KEY_PREFIX = 'dw_'
const KEY_BYTES = 20
const TAIL_CHARACTERS = 4

export function createService(parts: ServiceParts): Service {
  const { store, engine, clock, config } = parts
  const files = createFileService(parts)
  const batches = createBatchService(parts)
  const estimating = { store, prices: parts.prices, currency: config.currency }
  const analytics = createAnalytics({ ...parts, estimate: (batch) => estimateBatch(batch, estimating) })
  const requests = createRequests(parts)
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
      return estimateFile({ ...file, inspection: file.inspection }, { window, now: clock.now() }, estimating)
    },
    createBatch: (tenantId, request) => batches.createBatch(tenantId, request, null),
    getBatch: batches.getBatch,
    listBatches: batches.listBatches,
    cancelBatch: batches.cancelBatch,
    retryBatch: (tenantId, id, { groups, ...options }) =>
      retryBatch({ ...parts, ...batches, beginUpload: files.beginUpload }, tenantId, {
        ...{ id, ...options },
        groups: groups === undefined ? null : [...new Set(groups)].toSorted(),
      }),
    liveState: (batchId) => engine.live(batchId),
    async analyse(tenantId, id) {
      const batch = await batches.getBatch(tenantId, id)
      return batch === null ? null : analytics.one(batch)
    },
    analyseSeveral: async (tenantId, wanted) =>
      analytics.combined(await selectBatches(tenantId, wanted, store)),
    async listRequests(tenantId, id, query) {
      const batch = await batches.getBatch(tenantId, id)
      return batch === null ? null : requests.list(batch, query)
    },
    async findRequest(tenantId, id, { customId, include }) {
      const batch = await batches.getBatch(tenantId, id)
      if (batch === null) return null
      return (await requests.find(batch, customId, include)) ?? 'no_request'
    },
    usage: (tenantId, query) => reportUsage(tenantId, query, parts),
    prices: () => parts.prices.current(clock.now()),
    setPrices: (rules) => parts.prices.set(rules, clock.now()),
    records: (batch) => parts.results.records(batch.seq),
    models: () => engine.models(),
    describeModel: (id) => describeModel(id, parts),
    passThrough: (request) => engine.passThrough.call(request),
    upstreams: () => engine.upstreams.list(),
    addUpstream: (request) => engine.upstreams.add(request),
    removeUpstream: (name) => engine.upstreams.remove(name),
    testUpstream: (name) => engine.upstreams.test(name),
    ...createKeyUses(parts),
    ...createWebhookService({ ...parts, isPrivateAllowed: config.webhooks.isPrivateAllowed }),
    async checkReady() {
      engine.checkReady()
      await store.check()
      return { wallClockDriftMs: clock.wallClockDriftMs(), space: diskSpace(parts) }
    },
    counters: () => engine.counters(),
  }
}

function diskSpace({ freeBytes, config }: ServiceParts): DiskSpace {
  const bytes = freeBytes()
  if (bytes < config.limits.dispatchFreeBytesMin) return 'full'
  return bytes < config.limits.uploadFreeBytesMin ? 'low' : 'ok'
}

function describeModel(id: string, { engine, prices, clock }: ServiceParts): ModelFacts | null {
  const model = engine.models().find((candidate) => candidate.id === id)
  if (model === undefined) return null
  const serving = engine.upstreams.list().filter(({ models }) => models.includes(id))
  const isSimulated = id.startsWith(SIMULATED_PREFIX)
  return {
    ...model,
    upstreams: serving.map(({ name, state }) => ({ name, state })),
    isSimulated,
    prices: isSimulated ? [] : prices.current(clock.now()).filter((rule) => rule.model === id),
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
