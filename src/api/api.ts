/** The HTTP server: hooks that every request passes, then the routes. Routes parse, call and present; they know no storage. */
import type { IncomingMessage } from 'node:http'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import {
  JSON_BODY_BYTES_MAX,
  JSON_BODY_MS_MAX,
  PATH_PARAMETER_CHARACTERS_MAX,
  STOP_WAIT_MS,
} from '../domain/limits.ts'
import { OutcomeUnknownError } from '../engine/commit-outcome.ts'
import type { Service } from '../engine/service.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf, RefusedError, systemCodeOf, TroubleError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { bearerOf, identify, KEY_TOUCH_MS, type KnownKey, requireSameOrigin } from './access.ts'
import { addAdminRoutes } from './admin-routes.ts'
import { addAnalyticsRoutes } from './analytics-routes.ts'
import { addBatchRoutes } from './batch-routes.ts'
import { addCallerRoute } from './caller-route.ts'
import { addCompatRoutes } from './compat-routes.ts'
import { errorReply } from './errors.ts'
import { addFileRoutes } from './file-routes.ts'
import { isForm } from './form.ts'
import { createHttpServers, type Exchange, type HttpServers } from './http-server.ts'
import { addInferenceRoutes } from './inference-routes.ts'
import { addModelRoutes } from './model-routes.ts'
import { addOperationsRoutes, OPEN_ROUTES } from './operations-routes.ts'
import { knownCallerOf, setCaller } from './request-facts.ts'
import { addUsageRoutes } from './usage-routes.ts'
import { addWebhookRoutes } from './webhook-routes.ts'

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
  /** How long a stop lets requests end that have begun; STOP_WAIT_MS when absent. */
  stopWaitMs?: number
}

/** `close()` takes nothing new from then on, lets what runs end for a bounded time, then cuts it. */
export async function buildApi(parts: ApiParts): Promise<FastifyInstance> {
  const { service, logger, clock } = parts
  const routed = new WeakMap<IncomingMessage, FastifyRequest>()
  const servers = createHttpServers({
    ...parts,
    onEnd: (request, exchange) => logExchange(logger, routed.get(request), exchange),
  })
  const app = createApp(parts, servers)
  app.addHook('onRequest', async (request) => {
    routed.set(request.raw, request)
  })
  addStop(app, parts, servers)
  addBodyParsers(app, clock)
  addAccess(app, parts)
  app.setNotFoundHandler((request) => {
    throw unknownUrl(request)
  })
  app.setErrorHandler((thrown, request, reply) => answerError(logger, thrown, { request, reply }))
  const now = (): number => clock.now()
  addCompatRoutes(app, service, { now })
  addFileRoutes(app, service, logger)
  addBatchRoutes(app, service, { now, currency: parts.currency })
  addModelRoutes(app, service, { currency: parts.currency })
  await addInferenceRoutes(app, service)
  addCallerRoute(app)
  addWebhookRoutes(app, service)
  addUsageRoutes(app, service, { now, currency: parts.currency })
  addAnalyticsRoutes(app, service, { now, currency: parts.currency })
  addAdminRoutes(app, service, { now })
  addOperationsRoutes(app, service, { version: parts.version })
  return app
}

function addStop(app: FastifyInstance, parts: ApiParts, servers: HttpServers): void {
  let cancelCut: (() => void) | null = null
  app.addHook('preClose', async () => {
    cancelCut = parts.clock.after(parts.stopWaitMs ?? STOP_WAIT_MS, () => servers.cutConnections())
  })
  app.addHook('onClose', async () => cancelCut?.())
  // On a connection that was open before.
  app.addHook('onRequest', async () => {
    if (cancelCut !== null) throw new TroubleError('stopped', 'the server is stopping')
  })
}

function createApp(parts: ApiParts, servers: HttpServers): FastifyInstance {
  return fastify({
    bodyLimit: JSON_BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARACTERS_MAX },
    requestIdHeader: false,
    // Clients of other servers know our routes under this name.
    rewriteUrl: ({ url = '/' }) => url.replace(/^\/ai(?=\/v1\/)/, ''),
    genReqId: (request) => servers.requestIdOf(request),
    forceCloseConnections: 'idle',
    // Refused by a hook, in the shape of every other refusal.
    return503OnClosing: false,
    serverFactory: (handle) => servers.open(handle),
    // Each server has its own.
    clientErrorHandler: () => undefined,
    // A path that cannot be decoded, or with a part over the limit: there is no route for it either.
    frameworkErrors: (_thrown, request, reply) =>
      answerError(parts.logger, unknownUrl(request), { request, reply }),
  })
}

/** Every body that is not a form is JSON, whatever it is called, and may be empty: clients differ in what they announce. */
function addBodyParsers(app: FastifyInstance, clock: Clock): void {
  app.removeAllContentTypeParsers()
  // Read by its route.
  app.addContentTypeParser('multipart/form-data', (_request, _body, done) => done(null))
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
  addBodyLimit(app, clock)
}

/** A body that drips in holds a connection, a byte at a time: one that is no upload has an end. */
function addBodyLimit(app: FastifyInstance, clock: Clock): void {
  const cancels = new WeakMap<FastifyRequest, () => void>()
  const cancel = async (request: FastifyRequest): Promise<void> => cancels.get(request)?.()
  app.addHook('preParsing', async (request, _reply, body) => {
    const { headers } = request
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
    if (!hasBody || isForm(headers['content-type'])) return body
    const slow = new RefusedError('body_too_slow', 'The body of this request took too long to arrive.', {
      status: 408,
    })
    const onSlow = (): void => {
      // Whoever reads the body hears of it as of any other break; when nobody does any more, it was refused already.
      if (body.listenerCount('error') > 0) body.emit('error', slow)
    }
    cancels.set(request, clock.after(JSON_BODY_MS_MAX, onSlow))
    return body
  })
  app.addHook('preValidation', cancel)
  app.addHook('onResponse', cancel)
}

/** One line for each request; never a body, a key or a query. */
function logExchange(logger: Logger, request: FastifyRequest | undefined, exchange: Exchange): void {
  const { method, status, ms, requestId, isCut } = exchange
  const route = request?.routeOptions.url ?? 'unknown'
  const tenant = request === undefined ? null : (knownCallerOf(request)?.tenantId ?? null)
  logger.info({ method, route, status, ms, requestId, tenant }, isCut ? 'request cut' : 'request')
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
    // Before its body is looked at: what is wrong is the address.
    if (request.is404) throw unknownUrl(request)
  })
}

function answerError(
  logger: Logger,
  thrown: unknown,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
): void {
  const answer = errorReply(thrown)
  // The caller hung up in the middle of its body: there is nobody to answer, and nothing of ours that failed.
  const isCut = systemCodeOf(thrown) === 'ECONNRESET' && request.raw.socket.destroyed
  if (answer.isOurs && !isCut) {
    const cause = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    logger.error(
      { requestId: request.id, route: request.routeOptions.url ?? 'unknown', cause },
      'request failed',
    )
  }
  if (thrown instanceof OutcomeUnknownError) {
    // Any answer could turn out a lie: the caller is left to ask again, which an `Idempotency-Key` makes safe.
    reply.hijack()
    request.raw.socket.destroy()
    return
  }
  // The framework would close the connection over a body that was not read to its end, and reset the reply away with it.
  if (reply.hasHeader('connection')) reply.removeHeader('connection')
  reply.code(answer.status).headers(answer.headers).send(answer.body)
}

/** Names the path without its query, which may hold what is not for everyone, short and printable. */
function unknownUrl(request: FastifyRequest): RefusedError {
  const path = (request.url.split('?')[0] ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)
  return new RefusedError('not_found', `Invalid URL (${request.method} ${path})`, { status: 404 })
}
