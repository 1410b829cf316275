/** Rows for the tests of the store. Numbers make ids, and later numbers are newer. */
import { emptyTally, type Tally } from '../domain/batch.ts'
import type { Batch, NewBatch, Store, StoredFile } from './store.ts'

export type OpenStore = () => Promise<{ store: Store; dispose(): Promise<void> }>

export const TENANT = 'tenant_a'

export function sampleBatch(number: number, more: Partial<NewBatch> = {}): NewBatch {
  return {
    id: `batch_${number}`,
    tenantId: TENANT,
    inputFileId: 'file-input',
    endpoint: '/v1/chat/completions',
    window: '24h',
    outputFileIdReserved: `file-out-${number}`,
    errorFileIdReserved: `file-err-${number}`,
    createdAt: 1_000 + number,
    expiresAt: 86_401_000 + number,
    metadata: null,
    outputExpiresAfterSeconds: null,
    retryOf: null,
    keyId: null,
    ...more,
  }
}

export async function createdBatch(
  store: Store,
  number: number,
  more: Partial<NewBatch> = {},
): Promise<Batch> {
  return (await store.batches.create(sampleBatch(number, more), null)).batch
}

export function sampleFile(number: number, more: Partial<StoredFile> = {}): StoredFile {
  return {
    id: `file-${number}`,
    tenantId: TENANT,
    filename: 'questions.jsonl',
    purpose: 'batch',
    createdAt: 1_000 + number,
    expiresAt: null,
    deletedAt: null,
    kind: 'input',
    bytes: 5,
    extents: [],
    inspection: null,
    batchId: null,
    ...more,
  }
}

/** A tally of so many answered lines. */
export function sampleTally(completed: number, more: Partial<Tally> = {}): Tally {
  return { ...emptyTally, completed, outputLines: completed, outputBytes: completed * 10, ...more }
}
