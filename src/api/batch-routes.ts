import type { FastifyInstance, FastifyRequest } from 'fastify'
import { presentBatch, presentList } from '../contract/present.ts'
import { presentAnalytics } from '../contract/present-figures.ts'
import { parse, requireMetadata } from '../contract/refusal.ts'
import { createBatchBody, listBatchesQuery, retryBatchBody } from '../contract/schemas.ts'
import type { WireBatch } from '../contract/wire.ts'
import type { Batch } from '../domain/batch.ts'
import { IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../domain/limits.ts'
import { OutcomeUnknownError } from '../engine/commit-outcome.ts'
import type { NewBatchRequest, Service } from '../engine/service.ts'
import { RefusedError, TroubleError } from '../lib/errors.ts'
import { unknownBatch } from './errors.ts'
import { callerOf, headerOf, idOf, tenantOf } from './request-facts.ts'

export function addBatchRoutes(
  app: FastifyInstance,
  service: Service,
  facts: { now: () => number; currency: string },
): void {
  const present = (batch: Batch): WireBatch => presentBatch(batch, service.liveState(batch.id), facts.now())

  app.post('/v1/batches', async (request) => {
    const body = parse(createBatchBody, request.body)
    const wanted: NewBatchRequest = {
      inputFileId: body.input_file_id,
      endpoint: body.endpoint,
      window: body.completion_window,
      metadata: requireMetadata(body.metadata),
      outputExpiresAfterSeconds: body.output_expires_after?.seconds ?? null,
      idempotencyKey: idempotencyKeyOf(request),
      keyId: callerOf(request).keyId,
    }
    return making(async () => present(await service.createBatch(tenantOf(request), wanted)))
  })

  app.get('/v1/batches', async (request) => {
    const query = parse(listBatchesQuery, request.query)
    const filter = { limit: query.limit, after: query.after ?? null, activeFirst: query.active_first }
    const page = await service.listBatches(tenantOf(request), filter)
    return presentList(page.items.map(present), page.hasMore)
  })

  app.get('/v1/batches/:id', async (request) =>
    present(required(await service.getBatch(tenantOf(request), idOf(request)), request)),
  )

  app.post('/v1/batches/:id/cancel', async (request) =>
    present(required(await service.cancelBatch(tenantOf(request), idOf(request)), request)),
  )

  app.post('/v1/batches/:id/retry', async (request) => {
    const body = parse(retryBatchBody, request.body ?? {})
    const options = {
      includeCancelled: body.include_cancelled ?? false,
      ...(body.groups !== undefined && { groups: body.groups }),
      idempotencyKey: idempotencyKeyOf(request),
      keyId: callerOf(request).keyId,
    }
    return making(async () =>
      present(required(await service.retryBatch(tenantOf(request), idOf(request), options), request)),
    )
  })

  app.get('/v1/batches/:id/analytics', async (request) => {
    const id = idOf(request)
    return presentAnalytics(
      id,
      required(await service.analyse(tenantOf(request), id), request),
      facts.currency,
    )
  })
}

/** A create that is answered with an error must never run. Refusals and trouble are certain about that; after a bug, who knows. */
async function making<T>(create: () => Promise<T>): Promise<T> {
  try {
    return await create()
  } catch (thrown) {
    if (thrown instanceof RefusedError || thrown instanceof TroubleError) throw thrown
    throw new OutcomeUnknownError('the batch', thrown)
  }
}

function required<T>(found: T | null, request: FastifyRequest): T {
  if (found === null) throw unknownBatch(idOf(request))
  return found
}

function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = headerOf(request, 'idempotency-key')
  if (key === null || key === '') return null
  if (key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX) {
    throw new RefusedError(
      'string_above_max_length',
      `Invalid 'Idempotency-Key': at most ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters, got ${key.length}.`,
      { param: 'Idempotency-Key' },
    )
  }
  return key
}
