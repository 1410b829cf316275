/** What was used over time, for each tenant; and the prices by which it is charged, which are the owner's. */
import type { FastifyInstance } from 'fastify'
import { seconds } from '../contract/present.ts'
import { presentUsage } from '../contract/present-usage.ts'
import { parse } from '../contract/refusal.ts'
import { setPricesBody, usageQuery } from '../contract/schemas.ts'
import type { WirePrice } from '../contract/wire.ts'
import type { PriceRule } from '../domain/config.ts'
import { HOUR_MS } from '../domain/usage.ts'
import type { Service } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'
import { requireOwner } from './access.ts'
import { callerOf, tenantOf } from './request-facts.ts'

const DAY_MS = 24 * HOUR_MS
/** Where nothing says since when. */
const SPAN_MS = 30 * DAY_MS
const bucketMs = { hour: HOUR_MS, day: DAY_MS }

export function addUsageRoutes(
  app: FastifyInstance,
  service: Service,
  facts: { now: () => number; currency: string },
): void {
  app.get('/v1/usage', async (request) => {
    const { since, until, by, bucket } = parse(usageQuery, request.query)
    const untilAt = until ?? facts.now()
    const sinceAt = since ?? Math.max(0, untilAt - SPAN_MS)
    if (sinceAt >= untilAt) {
      throw new RefusedError('invalid_value', "Invalid 'since': it must lie before 'until'.", {
        param: 'since',
      })
    }
    const query = { sinceAt, untilAt, by, bucketMs: bucket === undefined ? null : bucketMs[bucket] }
    const report = await service.usage(tenantOf(request), query)
    return presentUsage(report, {
      since: seconds(sinceAt),
      until: seconds(untilAt),
      currency: facts.currency,
    })
  })

  app.get('/admin/v1/prices', (request) => {
    requireOwner(callerOf(request))
    return { object: 'list', currency: facts.currency, data: service.prices().map(presentPrice) }
  })

  app.post('/admin/v1/prices', async (request) => {
    requireOwner(callerOf(request))
    const { prices } = parse(setPricesBody, request.body)
    for (const [place, price] of prices.entries()) {
      if (!service.windows.some(({ window }) => window === price.window)) {
        const known = service.windows.map(({ window }) => window).join(', ')
        throw new RefusedError(
          'invalid_value',
          `Price ${place + 1}: this server has no window '${price.window}', only ${known}.`,
          {
            param: `prices[${place}].window`,
          },
        )
      }
      if ((price.input_per_million === null) !== (price.output_per_million === null)) {
        throw new RefusedError(
          'invalid_value',
          `Price ${place + 1}: input and output have a price both, or neither has.`,
          {
            param: `prices[${place}]`,
          },
        )
      }
    }
    await service.setPrices(
      prices.map((price) => ({
        model: price.model,
        window: price.window,
        inputPerMillion: price.input_per_million,
        cachedInputPerMillion: price.cached_input_per_million ?? null,
        outputPerMillion: price.output_per_million,
      })),
    )
    return { object: 'list', currency: facts.currency, data: service.prices().map(presentPrice) }
  })
}

function presentPrice(rule: PriceRule): WirePrice {
  return {
    model: rule.model,
    window: rule.window,
    input_per_million: rule.inputPerMillion,
    cached_input_per_million: rule.cachedInputPerMillion,
    output_per_million: rule.outputPerMillion,
  }
}
