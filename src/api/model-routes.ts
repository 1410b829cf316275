import type { FastifyInstance, FastifyRequest } from 'fastify'
import { seconds } from '../contract/present.ts'
import type { WireModel } from '../contract/wire.ts'
import type { ServedModel, Service } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'
import { idOf } from './request-facts.ts'

export function addModelRoutes(app: FastifyInstance, service: Service): void {
  app.get('/v1/models', () => ({ object: 'list', data: service.models().map(present) }))

  const one = (request: FastifyRequest): WireModel => {
    const id = idOf(request)
    const model = service.models().find((candidate) => candidate.id === id)
    if (model === undefined) {
      throw new RefusedError('model_not_found', `The model '${id}' does not exist`, {
        status: 404,
        param: 'model',
      })
    }
    return present(model)
  }
  app.get('/v1/models/:id', one)
  // Names such as org/model arrive with and without their slash encoded.
  app.get('/v1/models/*', one)
}

function present(model: ServedModel): WireModel {
  return { id: model.id, object: 'model', created: seconds(model.createdAt), owned_by: model.ownedBy }
}
