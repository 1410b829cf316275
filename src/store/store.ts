/**
 * Metadata behind one interface: few rows, every write a unit that is committed as a whole and durable when its promise resolves.
 * Units that arrive together share one commit. Moves compare and set: `false` means that another writer came first.
 * Instants are integer milliseconds, booleans 0/1, in every implementation.
 */
import type { Batch, Finding, Tally } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import type { UsageRow } from '../domain/usage.ts'
import type { Delivery, Webhook, WebhookEvent } from '../domain/webhook.ts'

export type Page = { after: string | null; limit: number }
/** `items` in the order asked for; `hasMore` says whether a further page exists. */
export type Paged<T> = { items: T[]; hasMore: boolean }

export type NewBatch = Pick<
  Batch,
  | 'id'
  | 'tenantId'
  | 'inputFileId'
  | 'endpoint'
  | 'window'
  | 'outputFileIdReserved'
  | 'errorFileIdReserved'
  | 'createdAt'
  | 'expiresAt'
  | 'metadata'
  | 'outputExpiresAfterSeconds'
  | 'retryOf'
  | 'keyId'
>

/** A create that carried an `Idempotency-Key`: same key and same body hash give the same object again. */
export type Idempotency = { tenantId: string; key: string; bodyHash: string; expiresAt: number }

export interface FileStore {
  create(file: StoredFile): Promise<void>
  /** Not deleted ones only. `tenantId` null: any tenant's (the engine). */
  get(id: string, tenantId: string | null): Promise<StoredFile | null>
  /** Deleted ones too: for live batches that still need the bytes. */
  getEvenDeleted(id: string): Promise<StoredFile | null>
  list(
    tenantId: string,
    filter: { purpose: string | null; order: 'asc' | 'desc' } & Page,
  ): Promise<Paged<StoredFile>>
  /** Hides the id. @returns false when it was not there (any more). */
  hide(id: string, at: number): Promise<boolean>
  /** Files whose `expiresAt` has passed and that are not hidden yet. */
  expired(at: number, limit: number): Promise<StoredFile[]>
  /** Hidden input files that no live batch uses: their bytes may go, then `forget`. */
  removable(limit: number): Promise<StoredFile[]>
  forget(id: string): Promise<void>
}

export interface BatchStore {
  /**
   * Creates the batch, in `validating`. With `idempotency`, an earlier create under the same key wins.
   * With `retryOf`, a live child of that batch wins. @returns the batch, and whether this call made it.
   * @throws RefusedError `idempotency_mismatch` (409) when the key was used with another body.
   */
  create(batch: NewBatch, idempotency: Idempotency | null): Promise<{ batch: Batch; isNew: boolean }>
  get(id: string, tenantId: string | null): Promise<Batch | null>
  /** Newest first; with `activeFirst` those not ended before the ended ones, newest first in each. Pages stay consistent. */
  list(tenantId: string, filter: { activeFirst: boolean } & Page): Promise<Paged<Batch>>
  /** Batches not ended, of every tenant, oldest first; `after` is a seq. */
  live(page: { after: number; limit: number }): Promise<Batch[]>
  /** validating → in_progress. */
  start(id: string, facts: { linesTotal: number; model: string | null; at: number }): Promise<boolean>
  /** validating → failed. */
  fail(
    id: string,
    facts: { findings: readonly Finding[]; findingsTotal: number; at: number },
  ): Promise<boolean>
  /** validating | in_progress → cancelling. */
  cancel(id: string, at: number): Promise<boolean>
  /** in_progress → finalizing, ending as `endsAs`. */
  finalize(id: string, facts: { endsAs: 'completed' | 'expired'; at: number }): Promise<boolean>
  /**
   * finalizing → completed | expired, or cancelling → cancelled, with the final tally, and the rows of the output and error
   * file that the batch then has, in one commit. From in_progress a completed batch passes finalizing in the same commit.
   */
  end(
    id: string,
    facts: {
      as: 'completed' | 'expired' | 'cancelled'
      tally: Tally
      at: number
      files: readonly StoredFile[]
      /** Stored in the same commit. */
      usage?: readonly UsageRow[]
    },
  ): Promise<boolean>
  /** First durable success: the output file's row and `outputFileId`, in one commit; repeating it changes nothing. */
  revealOutput(id: string, file: StoredFile): Promise<void>
  /** Counters of a live batch, about once a second. Never lowers them and never touches an ended batch. */
  storeTally(tallies: readonly { id: string; tally: Tally }[]): Promise<void>
  halt(id: string, reason: string): Promise<void>
  /** The child of `id` that has not ended, if any; and the newest child. */
  children(id: string): Promise<Batch[]>
}

export type Key = {
  id: string
  tenantId: string
  name: string
  /** Last four characters, for lists. */
  tail: string
  createdAt: number
  expiresAt: number | null
  revokedAt: number | null
  lastUsedAt: number | null
}

export interface KeyStore {
  create(key: Key, hash: string): Promise<void>
  findByHash(hash: string): Promise<Key | null>
  list(): Promise<Key[]>
  revoke(id: string, at: number): Promise<boolean>
  touch(id: string, at: number): Promise<void>
  /** True once any tenant key was ever created: open mode has ended for good. */
  any(): Promise<boolean>
}

/** An engine as the operator named it. The key's value lives in its own 0600 file, never here. */
export type UpstreamRow = {
  name: string
  url: string
  /** Requests in flight per model. */
  concurrency: number
  hasKey: boolean
  createdAt: number
}

export interface UpstreamStore {
  put(row: UpstreamRow): Promise<void>
  list(): Promise<UpstreamRow[]>
  remove(name: string): Promise<boolean>
  /** The number by which records name it: the same for ever, also after it was removed and added again. */
  numberOf(name: string): Promise<number>
  /** Names by number, of all that there ever were. */
  numbers(): Promise<ReadonlyMap<number, string>>
}

/** From `validFromAt` on; decimal text per million tokens, or null: no price from then on. */
export type PriceVersion = {
  model: string
  window: string
  validFromAt: number
  inputPerMillion: string | null
  cachedInputPerMillion: string | null
  outputPerMillion: string | null
}

export interface PriceStore {
  /** All versions, by model, window and age. */
  list(): Promise<PriceVersion[]>
  /** In one commit. @throws RefusedError `too_many_prices` (409) */
  add(versions: readonly PriceVersion[]): Promise<void>
}

export type BatchUsage = UsageRow & {
  batchId: string
  seq: number
  window: string
  keyId: string | null
  metadata: Readonly<Record<string, string>> | null
  /** Of the batch. */
  createdAt: number
}

export interface UsageStore {
  /** Rows of ended batches, in the order of their batches. */
  page(
    tenantId: string,
    query: { sinceAt: number; untilAt: number; after: BatchUsage | null; limit: number },
  ): Promise<Paged<BatchUsage>>
  /** Rows of these batches that have ended, those of the newest first; at most `limit`, or as many as one reply holds. */
  ofBatches(batchIds: readonly string[], limit: number): Promise<(UsageRow & { batchId: string })[]>
}

export interface WebhookStore {
  /** @throws RefusedError `too_many_webhooks` (409) */
  create(webhook: Webhook): Promise<void>
  /** `tenantId` null: any tenant's (the sender). */
  get(id: string, tenantId: string | null): Promise<Webhook | null>
  /** Newest first. */
  list(tenantId: string): Promise<Webhook[]>
  /** @returns false when its tenant has no such webhook (any more) */
  update(webhook: Webhook): Promise<boolean>
  /** With its log. */
  remove(id: string, tenantId: string): Promise<boolean>
  /**
   * An event that is no move of the batch. Moves to a terminal state announce themselves, in their own commit. Repeating it
   * changes nothing.
   */
  announce(batchId: string, event: WebhookEvent, at: number): Promise<void>
  /** Stores it as it is, anew or over an earlier state of it. */
  putDelivery(delivery: Delivery): Promise<void>
  /** What came of an attempt; nothing when the webhook was removed meanwhile. The log keeps its last DELIVERIES_KEPT_MAX. */
  noteAttempt(delivery: Delivery): Promise<void>
  /** Those whose next attempt is due, the longest due first. */
  due(at: number, limit: number): Promise<Delivery[]>
  nextDueAt(): Promise<number | null>
  getDelivery(id: string, webhookId: string): Promise<Delivery | null>
  /** Newest first. */
  deliveries(webhookId: string, limit: number): Promise<Delivery[]>
}

export interface Store {
  readonly files: FileStore
  readonly batches: BatchStore
  readonly keys: KeyStore
  readonly upstreams: UpstreamStore
  readonly webhooks: WebhookStore
  readonly prices: PriceStore
  readonly usage: UsageStore
  /** The newest instant stored anywhere: server time never starts below it. */
  newestAt(): Promise<number>
  /** Resolves when a trivial read works; for `/ready`. */
  check(): Promise<void>
  close(): Promise<void>
}

export type { Batch, Delivery, StoredFile, Tally, Webhook }
