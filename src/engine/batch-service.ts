/** Batches as a tenant sees them: create, read, cancel. */
import { createHash } from 'node:crypto'
import { type Batch, isEnded, recordedLines } from '../domain/batch.ts'
import type { ServerConfig } from '../domain/config.ts'
import { newId } from '../domain/ids.ts'
import { IDEMPOTENCY_MS } from '../domain/limits.ts'
import { requireWindow } from '../domain/window.ts'
import type { Clock } from '../lib/clock.ts'
import { RefusedError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { Idempotency, NewBatch, Paged, Store } from '../store/store.ts'
import { createOrFind } from './commit-outcome.ts'
import type { Engine } from './engine.ts'
import type { NewBatchRequest } from './service.ts'

export type BatchServiceParts = {
  store: Store
  engine: Engine
  clock: Clock
  random: Random
  config: ServerConfig
}

/** What a retry adds to a create. `requestKey`: what the caller asked for; the input file made for it differs at every try. */
export type BatchOrigin = { retryOf: string; requestKey: string } | null

export function createBatchService(parts: BatchServiceParts) {
  const { store, engine, clock, random, config } = parts

  /** The row, with what the engine knows beyond it: counts that were shown once never go back. */
  const overlaid = async (batch: Batch): Promise<Batch> => {
    if (isEnded(batch.status)) return batch
    const tally = engine.tally(batch.id)
    if (tally === null) {
      // The engine lets go of a batch once its end is stored, which may have come after this row was read.
      return (await store.batches.get(batch.id, batch.tenantId)) ?? batch
    }
    return recordedLines(tally) >= recordedLines(batch.tally) ? { ...batch, tally } : batch
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
      retryOf: origin?.retryOf ?? null,
      keyId: request.keyId,
    }
    const idempotency = idempotencyOf(request, { tenantId, origin, now: createdAt })
    const created = await createOrFind(`batch ${batch.id}`, {
      create: async () => (await store.batches.create(batch, idempotency)).batch,
      find: () => store.batches.get(batch.id, tenantId),
      clock,
    })
    engine.wake(created.id)
    return created.id === batch.id ? created : overlaid(created)
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
      return { ...page, items: await Promise.all(page.items.map(overlaid)) }
    },
    async cancelBatch(tenantId: string, id: string): Promise<Batch | null> {
      const batch = await store.batches.get(id, tenantId)
      if (batch === null) return null
      try {
        await store.batches.cancel(id, clock.now())
      } finally {
        // Also when the outcome is unknown: a hint too many costs nothing, a cancel that nobody acts on costs calls.
        engine.wake(id)
      }
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

/** The same key with another body is refused, so the hash covers every field of the request in an order of its own. */
function idempotencyOf(
  request: NewBatchRequest,
  context: { tenantId: string; origin: BatchOrigin; now: number },
): Idempotency | null {
  const { tenantId, origin, now } = context
  if (request.idempotencyKey === null) return null
  const { metadata } = request
  const pairs = metadata === null ? null : Object.entries(metadata).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const body =
    origin === null
      ? [request.inputFileId, request.endpoint, request.window, pairs, request.outputExpiresAfterSeconds]
      : ['retry', origin.retryOf, origin.requestKey]
  const bodyHash = createHash('sha256').update(JSON.stringify(body)).digest('hex')
  return { tenantId, key: request.idempotencyKey, bodyHash, expiresAt: now + IDEMPOTENCY_MS }
}
