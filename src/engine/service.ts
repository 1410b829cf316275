/**
 * What the HTTP routes and the server may ask of the engine. Routes know nothing below this.
 * Every call takes the tenant of the key; another tenant's ids behave exactly like unknown ones.
 */
import type { Batch, Endpoint } from '../domain/batch.ts'
import type { PriceRule } from '../domain/config.ts'
import type {
  BatchAnalytics,
  CombinedAnalytics,
  CostEstimate,
  LiveState,
  RequestFacts,
  UsageQuery,
  UsageReport,
} from '../domain/figures.ts'
import type { StoredFile } from '../domain/file.ts'
import type { Delivery, Webhook, WebhookEvent } from '../domain/webhook.ts'
import type { WindowPolicy } from '../domain/window.ts'
import type { LineRecord } from '../results/record.ts'
import type { Key, Paged, PriceVersion, UpstreamRow } from '../store/store.ts'
import type { AnalyticsWanted } from './analytics-selection.ts'
import type { PassThroughAnswer, PassThroughRequest } from './pass-through.ts'
import type { RequestInclude, RequestPage, RequestQuery } from './requests.ts'

/** One upload in progress. The purpose may come after the bytes, so it is given at the end. */
export interface Upload {
  /** Resolves when more may be written (back-pressure). @throws RefusedError `file_too_large`; TroubleError `disk_full` */
  write(chunk: Uint8Array): Promise<void>
  /** Durable (bytes, directory entry, row) when it resolves. @throws RefusedError for a file that OpenAI refuses at upload. */
  finish(facts: {
    filename: string
    purpose: string
    expiresAfterSeconds: number | null
  }): Promise<StoredFile>
  /** Leaves nothing behind. Also right after a failed `write`. */
  abort(): Promise<void>
}

/** A file's bytes as one read wants them. */
export type Content = {
  file: StoredFile
  /** Bytes that can be read now; of a live batch's output what is durable now. */
  bytes: number
  /** False once no byte can be added any more. */
  isIncomplete: boolean
  read(range: { start: number; end: number }): AsyncIterable<Uint8Array>
}

export type LineContent = {
  file: StoredFile
  /** `fromLine` + lines in this body: the exact position to go on from. */
  lastLine: number
  isIncomplete: boolean
  bytes: number
  body: AsyncIterable<Uint8Array>
}

/** Lines in the order of the input, with their bytes in that order. */
export type OrderedContent = LineContent & Pick<Content, 'read'>

export type NewBatchRequest = {
  inputFileId: string
  endpoint: Endpoint
  window: string
  metadata: Record<string, string> | null
  outputExpiresAfterSeconds: number | null
  idempotencyKey: string | null
  /** Key that asks, or null. */
  keyId: string | null
}

/** Amounts null: no price from now on. */
export type NewPrice = Omit<PriceVersion, 'validFromAt'>

export type ServedModel = { id: string; createdAt: number; ownedBy: string }

/** What this server knows of a model beyond its name. */
export type ModelFacts = ServedModel & {
  upstreams: { name: string; state: UpstreamState['state'] }[]
  isSimulated: boolean
  /** One for each window that has a price. */
  prices: PriceRule[]
}

export type NewUpstream = {
  name: string | null
  url: string
  /** The engine's own key, or null. */
  key: string | null
  concurrency: number | null
  /** Nothing is kept unless it lists models and answers a call. */
  isTested: boolean
  /** Models that it must serve, each of which is tested; null: any one. */
  models: readonly string[] | null
}

export type UpstreamState = UpstreamRow & {
  state: 'up' | 'slowed' | 'paused' | 'unknown'
  /** Why it is not up; null when it is. */
  reason: string | null
  models: string[]
  inFlight: number
}

export type WebhookFacts = Pick<Webhook, 'name' | 'url' | 'events'>

export interface WebhookService {
  /** @throws RefusedError `invalid_url`, `private_target`, `too_many_webhooks` */
  createWebhook(tenantId: string, facts: WebhookFacts): Promise<Webhook>
  listWebhooks(tenantId: string): Promise<Webhook[]>
  getWebhook(tenantId: string, id: string): Promise<Webhook | null>
  /** A webhook that was disabled delivers again. */
  updateWebhook(tenantId: string, id: string, facts: Partial<WebhookFacts>): Promise<Webhook | null>
  removeWebhook(tenantId: string, id: string): Promise<boolean>
  /** @param options keepsOld: the old secret signs beside the new one for SECRET_OVERLAP_MS */
  rotateWebhookSecret(tenantId: string, id: string, options: { keepsOld: boolean }): Promise<Webhook | null>
  /** Sends an event of a batch that does not exist. @returns what came of it */
  testWebhook(tenantId: string, id: string, event: WebhookEvent): Promise<Delivery | null>
  /** Newest first. */
  listDeliveries(tenantId: string, id: string, limit: number): Promise<Delivery[] | null>
  /** One more attempt now. @returns what came of it */
  resendDelivery(tenantId: string, id: string, deliveryId: string): Promise<Delivery | null>
}

export interface Service extends WebhookService {
  readonly windows: readonly WindowPolicy[]

  /** @throws RefusedError `too_many_uploads`; TroubleError `disk_full` below the first mark of free space. */
  beginUpload(tenantId: string): Promise<Upload>
  getFile(tenantId: string, id: string): Promise<StoredFile | null>
  listFiles(
    tenantId: string,
    filter: { purpose: string | null; order: 'asc' | 'desc'; after: string | null; limit: number },
  ): Promise<Paged<StoredFile>>
  /** @returns false when unknown. @throws RefusedError `file_in_use` (409) for the output of a live batch. */
  deleteFile(tenantId: string, id: string): Promise<boolean>
  openContent(tenantId: string, id: string): Promise<Content | null>
  openLines(tenantId: string, id: string, fromLine: number): Promise<LineContent | null>
  /** @throws RefusedError `not_ended` (409) while the batch runs. */
  openInputOrder(tenantId: string, id: string): Promise<OrderedContent | null>
  /** All findings of an input file, as JSONL; null when unknown. */
  openFindings(tenantId: string, fileId: string): Promise<AsyncIterable<Uint8Array> | null>
  estimateCost(tenantId: string, fileId: string, window: string): Promise<CostEstimate | null>

  createBatch(tenantId: string, request: NewBatchRequest): Promise<Batch>
  getBatch(tenantId: string, id: string): Promise<Batch | null>
  listBatches(
    tenantId: string,
    filter: { activeFirst: boolean; after: string | null; limit: number },
  ): Promise<Paged<Batch>>
  /** @throws RefusedError `batch_ended` (409) when it is completed, failed or expired. */
  cancelBatch(tenantId: string, id: string): Promise<Batch | null>
  /** @param options.groups of failures (`groupIdOf`); all without. @throws RefusedError as `retryBatch` in retry-batch.ts */
  retryBatch(
    tenantId: string,
    id: string,
    options: {
      includeCancelled: boolean
      groups?: readonly string[]
      idempotencyKey: string | null
      keyId: string | null
    },
  ): Promise<Batch | null>
  /** Null for a batch that has ended or is unknown here. */
  liveState(batchId: string): LiveState | null
  /** @throws RefusedError `usage_too_large` */
  usage(tenantId: string, query: UsageQuery): Promise<UsageReport>
  /** Prices that hold now. */
  prices(): PriceRule[]
  /** From now on; batches that exist keep theirs. Durable when it resolves. @throws RefusedError `too_many_prices` (409) */
  setPrices(rules: readonly NewPrice[]): Promise<void>
  analyse(tenantId: string, id: string): Promise<BatchAnalytics | null>
  /** @throws RefusedError as `selectBatches` */
  analyseSeveral(tenantId: string, wanted: AnalyticsWanted): Promise<CombinedAnalytics>
  /** Null for an unknown batch. */
  listRequests(tenantId: string, id: string, query: RequestQuery): Promise<RequestPage | null>
  /** Null for an unknown batch. */
  findRequest(
    tenantId: string,
    id: string,
    wanted: { customId: string; include: RequestInclude },
  ): Promise<RequestFacts | 'no_request' | null>
  records(batch: Batch): AsyncIterable<readonly LineRecord[]>

  models(): ServedModel[]
  /** Null for one that no upstream serves. */
  describeModel(id: string): ModelFacts | null
  /** One call to an upstream that serves the model, before any line of a batch. See `PassThrough.call`. */
  passThrough(request: PassThroughRequest): Promise<PassThroughAnswer>

  upstreams(): UpstreamState[]
  /** Durable when it resolves. @throws RefusedError for a bad URL or a taken name; `upstream_…` when its test fails. */
  addUpstream(request: NewUpstream): Promise<UpstreamState>
  removeUpstream(name: string): Promise<boolean>
  /** Asks for the models and makes no inference call. */
  testUpstream(name: string): Promise<UpstreamState | null>

  createKey(request: {
    name: string
    tenantId: string | null
    expiresAt: number | null
  }): Promise<{ key: Key; secret: string }>
  listKeys(): Promise<Key[]>
  revokeKey(id: string): Promise<boolean>

  /** Storage and engine usable: resolves; else rejects with the reason. */
  checkReady(): Promise<{ wallClockDriftMs: number; space: DiskSpace }>
  counters(): EngineCounters
}

/** low: uploads are refused. full: no request is dispatched either. */
export type DiskSpace = 'ok' | 'low' | 'full'

/** For `/metrics`. Totals since start, and gauges. */
export type EngineCounters = {
  requestsRecorded: Record<'succeeded' | 'failed' | 'expired' | 'cancelled', number>
  callsStarted: number
  callsRetried: number
  inFlight: number
  realtimeStarted: number
  /** Realtime calls without a permit. */
  realtimeWaiting: number
  liveBatches: number
  syncs: number
  /** Received → durable, milliseconds. */
  syncP50Ms: number
  syncP99Ms: number
}

export type { Key }
