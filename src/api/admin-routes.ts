/** Routes of the owner: the engines behind the server, and the keys to it. Nobody can name a variable or a file of the server here. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { seconds, secondsOrNull } from '../contract/present.ts'
import { parse } from '../contract/refusal.ts'
import { addUpstreamBody, createKeyBody } from '../contract/schemas.ts'
import type { WireKey, WireUpstream } from '../contract/wire.ts'
import type { Key, Service, UpstreamState } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'
import { requireOwner } from './access.ts'
import { callerOf, idOf } from './request-facts.ts'

export function addAdminRoutes(app: FastifyInstance, service: Service, facts: { now: () => number }): void {
  const owned = (request: FastifyRequest): void => requireOwner(callerOf(request))

  app.get('/admin/v1/upstreams', (request) => {
    owned(request)
    return { object: 'list', data: service.upstreams().map(presentUpstream) }
  })
  app.post('/admin/v1/upstreams', async (request) => {
    owned(request)
    const body = parse(addUpstreamBody, request.body)
    return presentUpstream(
      await service.addUpstream({
        name: body.name ?? null,
        url: body.url,
        key: body.key ?? null,
        concurrency: body.concurrency ?? null,
        isTested: body.test ?? false,
        models: body.models ?? null,
      }),
    )
  })
  app.delete('/admin/v1/upstreams/:name', async (request) => {
    owned(request)
    if (!(await service.removeUpstream(idOf(request)))) throw unknown('upstream', idOf(request))
    return { object: 'upstream', name: idOf(request), deleted: true }
  })
  app.post('/admin/v1/upstreams/:name/test', async (request) => {
    owned(request)
    const upstream = await service.testUpstream(idOf(request))
    if (upstream === null) throw unknown('upstream', idOf(request))
    return presentUpstream(upstream)
  })

  app.get('/admin/v1/keys', async (request) => {
    owned(request)
    return { object: 'list', data: (await service.listKeys()).map(presentKey) }
  })
  app.post('/admin/v1/keys', async (request) => {
    owned(request)
    const body = parse(createKeyBody, request.body)
    const expiresAt =
      body.expires_at === null || body.expires_at === undefined ? null : body.expires_at * 1000
    if (expiresAt !== null && expiresAt <= facts.now()) {
      throw new RefusedError('invalid_value', "Invalid 'expires_at': it must lie in the future.", {
        param: 'expires_at',
      })
    }
    const { key, secret } = await service.createKey({
      name: body.name,
      tenantId: body.tenant ?? null,
      expiresAt,
    })
    return { ...presentKey(key), key: secret }
  })
  app.delete('/admin/v1/keys/:id', async (request) => {
    owned(request)
    if (!(await service.revokeKey(idOf(request)))) throw unknown('key', idOf(request))
    return { object: 'key', id: idOf(request), revoked: true }
  })
}

function presentUpstream(upstream: UpstreamState): WireUpstream {
  return {
    object: 'upstream',
    name: upstream.name,
    url: upstream.url,
    concurrency: upstream.concurrency,
    has_key: upstream.hasKey,
    created_at: seconds(upstream.createdAt),
    state: upstream.state,
    reason: upstream.reason,
    models: upstream.models,
    in_flight: upstream.inFlight,
  }
}

function presentKey(key: Key): WireKey {
  return {
    object: 'key',
    id: key.id,
    name: key.name,
    tenant: key.tenantId,
    tail: key.tail,
    created_at: seconds(key.createdAt),
    expires_at: secondsOrNull(key.expiresAt),
    revoked_at: secondsOrNull(key.revokedAt),
    last_used_at: secondsOrNull(key.lastUsedAt),
  }
}

function unknown(what: 'upstream' | 'key', name: string): RefusedError {
  return new RefusedError(
    'not_found',
    `No ${what} '${name}' here. \`dw ${what}${what === 'key' ? 's' : ''} list\` shows them.`,
    { status: 404 },
  )
}
