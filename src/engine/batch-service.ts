/** Batches as a tenant sees them: create, read, cancel, retry. */
import { createHash } from 'node:crypto'
import { type Batch, isEnded, recordedLines } from '../domain/batch.ts'
import type { ServerConfig } from '../domain/config.ts'
import { newId } from '../domain/ids.ts'
import { IDEMPOTENCY_MS } from '../domain/limits.ts'
import { requireWindow } from '../domain/window.ts'
import type { Clock } from '../lib/clock.ts'
import { RefusedError, TroubleError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { Idempotency, NewBatch, Paged, Store } from '../store/store.ts'
import type { Engine } from './engine.ts'
import type { NewBatchRequest } from './service.ts'

export type BatchServiceParts = {
  store: Store
  engine: Engine
  clock: Clock
  random: Random
  config: ServerConfig
}

export type BatchOrigin = { retryOf: string | null }

export function createBatchService(parts: BatchServiceParts) {
  const { store, engine, clock, random, config } = parts

  /** The row, with what the engine knows beyond it. */
  const overlaid = (batch: Batch): Batch => {
    const tally = isEnded(batch.status) ? null : engine.tally(batch.id)
    return tally !== null && recordedLines(tally) >= recordedLines(batch.tally) ? { ...batch, tally } : batch
  }

  const createBatch = async (
    tenantId: string,
    request: NewBatchRequest,
    origin: BatchOrigin,
  ): Promise<Batch> => {
    const { ms } = requireWindow(request.window, config.windows)
    const input = await store.files.get(request.inputFileId, tenantId)
    if (input !== null && input.kind !== 'input') {
      throw new RefusedError(
        'invalid_value',
        `Invalid 'input_file_id': file ${input.id} has purpose '${input.purpose}', a batch needs one with purpose 'batch'.`,
        { param: 'input_file_id' },
      )
    }
    const createdAt = clock.now()
    const batch: NewBatch = {
      id: newId('batch_', createdAt, random),
      tenantId,
      inputFileId: request.inputFileId,
      endpoint: request.endpoint,
      window: request.window,
      outputFileIdReserved: newId('file-', createdAt, random),
      errorFileIdReserved: newId('file-', createdAt, random),
      createdAt,
      expiresAt: createdAt + ms,
      metadata: request.metadata,
      outputExpiresAfterSeconds: request.outputExpiresAfterSeconds,
      retryOf: origin.retryOf,
    }
    const created = await createOnce(store, batch, idempotencyOf(tenantId, request, createdAt))
    engine.wake(created.id)
    return created
  }

  return {
    createBatch,
    async getBatch(tenantId: string, id: string): Promise<Batch | null> {
      const batch = await store.batches.get(id, tenantId)
      return batch === null ? null : overlaid(batch)
    },
    async listBatches(
      tenantId: string,
      filter: { activeFirst: boolean; after: string | null; limit: number },
    ): Promise<Paged<Batch>> {
      const page = await store.batches.list(tenantId, filter)
      return { ...page, items: page.items.map(overlaid) }
    },
    async cancelBatch(tenantId: string, id: string): Promise<Batch | null> {
      const batch = await store.batches.get(id, tenantId)
      if (batch === null) return null
      if (await store.batches.cancel(id, clock.now())) engine.wake(id)
      // Whoever moved it first: its row says what it is now.
      const now = await store.batches.get(id, tenantId)
      if (now === null) return null
      if (now.status !== 'cancelling' && now.status !== 'cancelled') {
        throw new RefusedError('batch_ended', `Cannot cancel a batch with status '${now.status}'.`, {
          status: 409,
        })
      }
      return overlaid(now)
    },
  }
}

/** When the outcome of the commit is unknown the id is asked for, so that a create that failed towards the caller never runs. */
async function createOnce(store: Store, batch: NewBatch, idempotency: Idempotency | null): Promise<Batch> {
  try {
    return (await store.batches.create(batch, idempotency)).batch
  } catch (thrown) {
    if (!(thrown instanceof TroubleError)) throw thrown
    const made = await store.batches.get(batch.id, batch.tenantId)
    if (made === null) throw thrown
    return made
  }
}

function idempotencyOf(tenantId: string, request: NewBatchRequest, now: number): Idempotency | null {
  if (request.idempotencyKey === null) return null
  const { idempotencyKey, metadata, ...rest } = request
  const sorted = metadata === null ? null : Object.entries(metadata).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const bodyHash = createHash('sha256')
    .update(JSON.stringify([rest, sorted]))
    .digest('hex')
  return { tenantId, key: idempotencyKey, bodyHash, expiresAt: now + IDEMPOTENCY_MS }
}
