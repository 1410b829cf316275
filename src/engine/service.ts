/**
 * What the HTTP routes and the server may ask of the engine. Routes know nothing below this.
 * Every call takes the tenant of the key; another tenant's ids behave exactly like unknown ones.
 */
import type { Batch, Endpoint } from '../domain/batch.ts'
import type { Analytics, CostEstimate, LiveState } from '../domain/figures.ts'
import type { StoredFile } from '../domain/file.ts'
import type { WindowPolicy } from '../domain/window.ts'
import type { LineRecord } from '../results/record.ts'
import type { Key, Paged, UpstreamRow } from '../store/store.ts'

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

export type NewBatchRequest = {
  inputFileId: string
  endpoint: Endpoint
  window: string
  metadata: Record<string, string> | null
  outputExpiresAfterSeconds: number | null
  idempotencyKey: string | null
}

export type ServedModel = { id: string; createdAt: number; ownedBy: string }

export type UpstreamState = UpstreamRow & {
  state: 'up' | 'slowed' | 'paused' | 'unknown'
  /** Why it is not up; null when it is. */
  reason: string | null
  models: string[]
  inFlight: number
}

export interface Service {
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
  openInputOrder(tenantId: string, id: string): Promise<LineContent | null>
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
  /** @throws RefusedError `batch_running`, `nothing_to_retry` (409) */
  retryBatch(
    tenantId: string,
    id: string,
    options: { includeCancelled: boolean; idempotencyKey: string | null },
  ): Promise<Batch | null>
  /** Null for a batch that has ended or is unknown here. */
  liveState(batchId: string): LiveState | null
  analyse(tenantId: string, id: string): Promise<Analytics | null>
  records(batch: Batch): AsyncIterable<readonly LineRecord[]>

  models(): ServedModel[]

  upstreams(): UpstreamState[]
  /** @param key the engine's own key, or null. Durable when it resolves. @throws RefusedError for a bad URL or a taken name. */
  addUpstream(request: {
    name: string | null
    url: string
    key: string | null
    concurrency: number | null
  }): Promise<UpstreamState>
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
  checkReady(): Promise<{ wallClockDriftMs: number }>
  counters(): EngineCounters
}

/** For `/metrics`. Totals since start, and gauges. */
export type EngineCounters = {
  requestsRecorded: Record<'succeeded' | 'failed' | 'expired' | 'cancelled', number>
  callsStarted: number
  callsRetried: number
  inFlight: number
  liveBatches: number
  syncs: number
  /** Received → durable, milliseconds. */
  syncP50Ms: number
  syncP99Ms: number
}

export type { Key }
