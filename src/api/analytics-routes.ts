/** Figures of several batches as one, and the requests of a batch one by one. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { presentCombined } from '../contract/present-figures.ts'
import { presentRequest, presentRequestPage } from '../contract/present-requests.ts'
import { parse } from '../contract/refusal.ts'
import { analyticsQuery, listRequestsQuery, requestQuery } from '../contract/schemas.ts'
import type { Service } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'
import { unknownBatch } from './errors.ts'
import { idOf, tenantOf } from './request-facts.ts'

export function addAnalyticsRoutes(
  app: FastifyInstance,
  service: Service,
  facts: { now: () => number; currency: string },
): void {
  app.get('/v1/analytics', async (request) => {
    const { batch: ids, since, until } = parse(analyticsQuery, request.query)
    const hasSpan = since !== undefined || until !== undefined
    if ((ids === undefined) !== hasSpan) {
      throw new RefusedError(
        'invalid_value',
        "Name either batches ('batch', which may be repeated) or a span of time ('since', 'until').",
        { param: 'batch' },
      )
    }
    const wanted = ids === undefined ? { sinceAt: since ?? 0, untilAt: until ?? facts.now() } : { ids }
    return presentCombined(await service.analyseSeveral(tenantOf(request), wanted), facts.currency)
  })

  app.get('/v1/batches/:id/requests', async (request, reply) => {
    const query = parse(listRequestsQuery, request.query)
    const include = includeOf(query.include)
    const page = await service.listRequests(tenantOf(request), idOf(request), {
      status: query.status ?? null,
      httpStatus: query.http_status ?? null,
      model: query.model ?? null,
      minLatencyMs: query.min_latency_ms ?? null,
      customId: query.custom_id ?? null,
      fromLine: query.after ?? 0,
      limit: query.limit,
      include,
    })
    if (page === null) throw unknownBatch(idOf(request))
    return sendJson(reply, presentRequestPage(page, include))
  })

  app.get('/v1/batches/:id/requests/:custom_id', async (request, reply) => {
    const include = includeOf(parse(requestQuery, request.query).include)
    // The route has the parameter.
    const { custom_id: customId } = request.params as { custom_id: string }
    const found = await service.findRequest(tenantOf(request), idOf(request), { customId, include })
    if (found === null) throw unknownBatch(idOf(request))
    if (found === 'no_request') {
      throw new RefusedError('not_found', `Batch '${idOf(request)}' has no request with this custom_id.`, {
        status: 404,
        param: 'custom_id',
      })
    }
    return sendJson(reply, presentRequest(found, include))
  })
}

function includeOf(names: readonly string[]): { input: boolean; output: boolean } {
  return { input: names.includes('input'), output: names.includes('output') }
}

function sendJson(reply: FastifyReply, body: Buffer): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(body)
}
