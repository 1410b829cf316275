import type { FastifyInstance } from 'fastify'
import type { WireCaller } from '../contract/wire.ts'
import { callerOf } from './request-facts.ts'

/** Tells a caller whose key it holds; it learns nothing that it could not find out by using it. */
export function addCallerRoute(app: FastifyInstance): void {
  app.get('/v1/whoami', (request): WireCaller => {
    const { tenantId, isOwner, keyId } = callerOf(request)
    return {
      object: 'caller',
      tenant: tenantId,
      access: isOwner ? 'owner' : keyId === null ? 'open' : 'key',
      key_id: keyId,
    }
  })
}
