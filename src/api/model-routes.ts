import type { FastifyInstance, FastifyRequest } from 'fastify'
import { seconds } from '../contract/present.ts'
import type { WireModel, WireModelDetail } from '../contract/wire.ts'
import type { ModelFacts, ServedModel, Service } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'
import { idOf } from './request-facts.ts'

export function addModelRoutes(app: FastifyInstance, service: Service, facts: { currency: string }): void {
  app.get('/v1/models', () => ({ object: 'list', data: service.models().map(present) }))

  const one = (request: FastifyRequest): WireModelDetail => {
    const id = idOf(request)
    const model = service.describeModel(id)
    if (model === null) {
      throw new RefusedError('model_not_found', `The model '${id}' does not exist`, {
        status: 404,
        param: 'model',
      })
    }
    return presentDetail(model, facts.currency)
  }
  app.get('/v1/models/:id', one)
  // Names such as org/model arrive with and without their slash encoded.
  app.get('/v1/models/*', one)
}

function present(model: ServedModel): WireModel {
  return { id: model.id, object: 'model', created: seconds(model.createdAt), owned_by: model.ownedBy }
}

function presentDetail(model: ModelFacts, currency: string): WireModelDetail {
  const prices = model.prices.map((rule) => ({
    window: rule.window,
    currency,
    input_per_million: rule.inputPerMillion,
    cached_input_per_million: rule.cachedInputPerMillion,
    output_per_million: rule.outputPerMillion,
  }))
  const { upstreams, isSimulated } = model
  return { ...present(model), dw: { upstreams, simulated: isSimulated, priced: prices.length > 0, prices } }
}
