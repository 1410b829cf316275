/** The HTTP server: hooks that every request passes, then the routes. Routes parse, call and present; they know no storage. */
import multipart from '@fastify/multipart'
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import { JSON_BODY_BYTES_MAX, PATH_PARAMETER_CHARACTERS_MAX } from '../domain/limits.ts'
import { OutcomeUnknownError } from '../engine/commit-outcome.ts'
import type { Service } from '../engine/service.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf, RefusedError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { bearerOf, identify, KEY_TOUCH_MS, type KnownKey, requireSameOrigin } from './access.ts'
import { addAdminRoutes } from './admin-routes.ts'
import { addBatchRoutes } from './batch-routes.ts'
import { errorReply } from './errors.ts'
import { addFileRoutes } from './file-routes.ts'
import { addModelRoutes } from './model-routes.ts'
import { addOperationsRoutes, OPEN_ROUTES } from './operations-routes.ts'
import { knownCallerOf, setCaller } from './request-facts.ts'

/** Keys as the access hook sees them. */
export type KeyRing = {
  findByHash(hash: string): Promise<KnownKey | null>
  any(): Promise<boolean>
  touch(id: string, at: number): Promise<void>
}

export type ApiParts = {
  service: Service
  keys: KeyRing
  clock: Clock
  random: Random
  logger: Logger
  ownerToken: string
  keyPrefix: string
  isOpenAllowed: boolean
  version: string
  currency: string
  /** Where the server listens, known once it does. */
  address: () => { host: string; port: number }
}

/** Guess: a JSON body that takes longer is a slow client that holds a connection; uploads are not bound by it. */
const HEADERS_MS_MAX = 30_000

export async function buildApi(parts: ApiParts): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: JSON_BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARACTERS_MAX },
    requestIdHeader: false,
    genReqId: () => `req_${Buffer.from(parts.random.bytes(16)).toString('hex')}`,
    forceCloseConnections: 'idle',
    http: { headersTimeout: HEADERS_MS_MAX },
    return503OnClosing: true,
  })
  addBodyParsers(app)
  await app.register(multipart, { throwFileSizeLimit: true })
  addReplyHeaders(app, parts)
  addAccess(app, parts)
  addErrors(app, parts)
  addFileRoutes(app, parts.service)
  addBatchRoutes(app, parts.service, { now: () => parts.clock.now(), currency: parts.currency })
  addModelRoutes(app, parts.service)
  addAdminRoutes(app, parts.service)
  addOperationsRoutes(app, parts.service, { version: parts.version })
  return app
}

/** Every body that is not a form is JSON, whatever it is called, and may be empty: clients differ in what they announce. */
function addBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    const text = String(body).trim()
    if (text === '') return done(null, undefined)
    try {
      done(null, JSON.parse(text))
    } catch {
      done(
        new RefusedError(
          'invalid_json',
          'We could not parse the JSON body of your request. The body must be one JSON object.',
        ),
      )
    }
  })
}

function addReplyHeaders(app: FastifyInstance, parts: ApiParts): void {
  app.addHook('onRequest', async (request, reply) => {
    reply
      .header('x-request-id', request.id)
      .header('x-content-type-options', 'nosniff')
      .header('dw-version', parts.version)
  })
  app.addHook('onResponse', async (request, reply) => {
    const facts = {
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      requestId: request.id,
      tenant: knownCallerOf(request)?.tenantId ?? null,
    }
    parts.logger.info(facts, 'request')
  })
}

function addAccess(app: FastifyInstance, parts: ApiParts): void {
  // Open mode ends for good with the first key; once seen, the question is not asked again.
  let hadKeys = false
  const touchedAt = new Map<string, number>()
  const touch = (id: string): void => {
    const now = parts.clock.now()
    if (now - (touchedAt.get(id) ?? 0) < KEY_TOUCH_MS) return
    touchedAt.set(id, now)
    parts.keys
      .touch(id, now)
      .catch((thrown: unknown) => parts.logger.warn({ cause: messageOf(thrown) }, 'key use was not noted'))
  }
  app.addHook('onRequest', async (request) => {
    if (OPEN_ROUTES.has(request.routeOptions.url ?? '')) return
    const caller = await identify({
      bearer: bearerOf(request.headers.authorization),
      ownerToken: parts.ownerToken,
      keyPrefix: parts.keyPrefix,
      isOpenAllowed: parts.isOpenAllowed,
      hasTenantKeys: async () => (hadKeys ||= await parts.keys.any()),
      findKey: (hash) => parts.keys.findByHash(hash),
      now: parts.clock.now(),
    })
    if (caller.isOpen)
      requireSameOrigin({ host: request.headers.host, origin: request.headers.origin }, parts.address())
    if (caller.keyId !== null) touch(caller.keyId)
    setCaller(request, caller)
  })
}

function addErrors(app: FastifyInstance, parts: ApiParts): void {
  app.setNotFoundHandler((request) => {
    throw new RefusedError('not_found', `Invalid URL (${request.method} ${pathOf(request)})`, { status: 404 })
  })
  app.setErrorHandler((thrown, request, reply) => {
    const answer = errorReply(thrown)
    if (thrown instanceof OutcomeUnknownError) {
      // Any answer could turn out a lie: the caller is left to ask again, which an `Idempotency-Key` makes safe.
      parts.logger.error({ requestId: request.id, cause: thrown.message }, 'closed without an answer')
      reply.hijack()
      request.raw.socket.destroy()
      return reply
    }
    if (answer.isOurs) {
      const cause = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
      parts.logger.error(
        { requestId: request.id, route: request.routeOptions.url ?? 'unknown', cause },
        'request failed',
      )
    }
    // What is left of a body that nobody reads any more would hold the connection.
    if (!request.raw.complete) reply.header('connection', 'close')
    return reply.code(answer.status).headers(answer.headers).send(answer.body)
  })
}

/** The path without its query, which may hold what is not for everyone, short and printable. */
function pathOf(request: FastifyRequest): string {
  return (request.url.split('?')[0] ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)
}
