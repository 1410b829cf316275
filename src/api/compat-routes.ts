/**
 * What the existing `dw` client asks for beyond OpenAI's routes, and what only it needs of those: docs/protocol.md. The hooks act on
 * requests that carry its header alone. `:user` in a path names nobody: whose data it is, the key says.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  compatKey,
  compatKeyBody,
  compatModel,
  compatPage,
  compatPageQuery,
  compatRequest,
  compatRequestsQuery,
  compatUsage,
  compatUsageQuery,
  compatUser,
  compatWebhook,
  compatWebhookBody,
  flatError,
} from '../contract/compat.ts'
import { parse } from '../contract/refusal.ts'
import type { WireErrorBody } from '../contract/wire.ts'
import { type Batch, type Endpoint, isEndpoint } from '../domain/batch.ts'
import { keyHash } from '../domain/ids.ts'
import { BATCH_LIST_MAX } from '../domain/limits.ts'
import { webhookEvents } from '../domain/webhook.ts'
import type { ModelFacts, Service } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'
import { requireOwner } from './access.ts'
import { unknownBatch } from './errors.ts'
import { callerOf, headerOf, idOf, tenantOf } from './request-facts.ts'

/** Only the existing client sends it; no client of ours does. */
const CLIENT_HEADER = 'x-dw-cli-version'
const ADMIN = '/admin/api/v1'
/** Guess: a line whose `url` stands further back keeps the endpoint that was named. */
const FIRST_LINE_BYTES_MAX = 1024 * 1024
/** Guess: a few seconds' work; a filter by batch finds what lies further back. */
const RECORDS_SCANNED_MAX = 1_000_000
const DAY_MS = 24 * 60 * 60 * 1_000
/** Where nothing says since when. */
const USAGE_SPAN_MS = 30 * DAY_MS

/** To be added before the routes that its hooks are for. */
export function addCompatRoutes(app: FastifyInstance, service: Service, facts: { now: () => number }): void {
  addHooks(app, service)
  app.get(`${ADMIN}/users/current`, (request) => compatUser(callerOf(request)))
  addKeyRoutes(app, service)
  addWebhookRoutes(app, service)
  addModelRoutes(app, service)

  app.get(`${ADMIN}/usage`, async (request) => {
    const query = parse(compatUsageQuery, request.query)
    const untilAt = query.end_date ?? facts.now()
    const sinceAt = query.start_date ?? Math.max(0, untilAt - USAGE_SPAN_MS)
    const by = (dimension: string) =>
      service.usage(tenantOf(request), { sinceAt, untilAt, by: [dimension], bucketMs: null })
    const [byModel, byBatch] = [await by('model'), await by('batch')]
    return compatUsage(byModel, byBatch.groups.length)
  })
  app.get(`${ADMIN}/requests`, async (request) => ({ entries: await entriesOf(service, request) }))
}

function isExistingClient(request: FastifyRequest): boolean {
  return headerOf(request, CLIENT_HEADER) !== null
}

function addHooks(app: FastifyInstance, service: Service): void {
  app.addHook('preSerialization', async (request, reply, payload) => {
    if (reply.statusCode < 400 || !isExistingClient(request)) return payload
    // Every error of this server has the shape, whichever hook or route it came from.
    return isError(payload) ? flatError(payload) : payload
  })
  app.addHook('preHandler', async (request) => {
    if (!isExistingClient(request) || request.method !== 'POST') return
    const route = request.routeOptions.url
    if (route === '/v1/batches') await takeEndpointOfFile(request, service)
    if (route === '/v1/chat/completions') askForUsage(request)
  })
}

function isError(payload: unknown): payload is WireErrorBody {
  return typeof payload === 'object' && payload !== null && 'error' in payload
}

/** It names the chat endpoint whatever the file holds: what the first line names counts. */
async function takeEndpointOfFile(request: FastifyRequest, service: Service): Promise<void> {
  const { body } = request
  if (typeof body !== 'object' || body === null || !('input_file_id' in body)) return
  const id = body.input_file_id
  if (typeof id !== 'string') return
  const endpoint = await firstEndpointOf(service, tenantOf(request), id)
  if (endpoint !== null) request.body = { ...body, endpoint }
}

async function firstEndpointOf(service: Service, tenantId: string, fileId: string): Promise<Endpoint | null> {
  const content = await service.openContent(tenantId, fileId)
  if (content === null) return null
  let text = ''
  const decoder = new TextDecoder()
  const end = Math.min(content.bytes, FIRST_LINE_BYTES_MAX)
  for await (const chunk of content.read({ start: 0, end })) {
    text += decoder.decode(chunk, { stream: true })
    if (text.trimStart().includes('\n')) break
  }
  try {
    const line: unknown = JSON.parse(text.trimStart().split('\n', 1)[0] ?? '')
    const url = typeof line === 'object' && line !== null && 'url' in line ? line.url : null
    return typeof url === 'string' && isEndpoint(url) ? url : null
  } catch {
    // No line of JSON, or a longer one: the batch is validated as it was asked for.
    return null
  }
}

/** It prints the usage of a stream without ever asking for it. */
function askForUsage(request: FastifyRequest): void {
  if (!Buffer.isBuffer(request.body)) return
  try {
    const body: unknown = JSON.parse(request.body.toString('utf8'))
    if (typeof body !== 'object' || body === null || !('stream' in body) || body.stream !== true) return
    if ('stream_options' in body) return
    request.body = Buffer.from(JSON.stringify({ ...body, stream_options: { include_usage: true } }))
  } catch {
    // The route refuses what is no JSON.
  }
}

function addKeyRoutes(app: FastifyInstance, service: Service): void {
  const keys = `${ADMIN}/users/current/api-keys`
  app.get(keys, async (request) => {
    requireOwner(callerOf(request))
    const live = (await service.listKeys()).filter(({ revokedAt }) => revokedAt === null)
    return compatPage(live.map(compatKey), parse(compatPageQuery, request.query))
  })
  app.post(keys, async (request) => {
    const { tenantId } = callerOf(request)
    requireOwner(callerOf(request))
    const { name, description } = parse(compatKeyBody, request.body)
    const { key, secret } = await service.createKey({ name, tenantId, expiresAt: null })
    return { ...compatKey(key), description: description ?? null, key: secret }
  })
  app.delete(`${keys}/:id`, async (request) => {
    requireOwner(callerOf(request))
    if (!(await service.revokeKey(idOf(request)))) throw absent('API key', request)
    return { id: idOf(request), deleted: true }
  })
}

function addWebhookRoutes(app: FastifyInstance, service: Service): void {
  const webhooks = `${ADMIN}/users/:user/webhooks`
  app.get(webhooks, async (request) => (await service.listWebhooks(tenantOf(request))).map(compatWebhook))
  app.post(webhooks, async (request) => {
    const { url, event_types: named, description } = parse(compatWebhookBody, request.body)
    const events = named.length === 0 ? webhookEvents : named
    const webhook = await service.createWebhook(tenantOf(request), { name: description || url, url, events })
    return { ...compatWebhook(webhook), secret: webhook.secret }
  })
  app.delete(`${webhooks}/:id`, async (request) => {
    if (!(await service.removeWebhook(tenantOf(request), idOf(request)))) throw absent('webhook', request)
    return { id: idOf(request), deleted: true }
  })
  app.post(`${webhooks}/:id/rotate-secret`, async (request) => {
    const options = { keepsOld: false }
    const webhook = await service.rotateWebhookSecret(tenantOf(request), idOf(request), options)
    if (webhook === null) throw absent('webhook', request)
    return { ...compatWebhook(webhook), secret: webhook.secret }
  })
}

function addModelRoutes(app: FastifyInstance, service: Service): void {
  const described = (): ModelFacts[] =>
    service.models().flatMap(({ id }) => {
      const model = service.describeModel(id)
      return model === null ? [] : [model]
    })
  app.get(`${ADMIN}/models`, (request) => {
    const all = described().map((model) => compatModel(model, uuidOf(model.id)))
    return compatPage(all, parse(compatPageQuery, request.query))
  })
  app.get(`${ADMIN}/models/:id`, (request) => {
    const model = described().find(({ id }) => uuidOf(id) === idOf(request))
    if (model === undefined) throw absent('model', request)
    return compatModel(model, idOf(request))
  })
}

/** The same for the same name, on every server: models have no other id here. */
function uuidOf(name: string): string {
  const hex = keyHash(name)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

type Entry = ReturnType<typeof compatRequest>

/** Newest batch first; within one, in the order in which the answers came. */
async function entriesOf(service: Service, request: FastifyRequest): Promise<Entry[]> {
  const query = parse(compatRequestsQuery, request.query)
  const [after, before] = [query.timestamp_after ?? 0, query.timestamp_before ?? Number.POSITIVE_INFINITY]
  const entries: Entry[] = []
  let [toSkip, scanned] = [query.skip, 0]
  for await (const batch of batchesOf(service, request, query.fusillade_batch_id)) {
    if (query.model !== undefined && batch.model === null && batch.linesTotal > 0) throw severalModels(batch)
    if (query.model !== undefined && batch.model !== query.model) continue
    for await (const records of service.records(batch)) {
      scanned += records.length
      if (scanned > RECORDS_SCANNED_MAX) throw tooMany()
      for (const record of records) {
        const isAsked =
          record.recordedAt >= after &&
          record.recordedAt <= before &&
          (query.status_code === undefined || record.httpStatus === query.status_code)
        if (!isAsked || toSkip-- > 0) continue
        if (entries.length >= query.limit) return entries
        entries.push(compatRequest(record, batch))
      }
    }
  }
  return entries
}

async function* batchesOf(
  service: Service,
  request: FastifyRequest,
  id: string | undefined,
): AsyncGenerator<Batch> {
  const tenantId = tenantOf(request)
  if (id !== undefined) {
    const batch = await service.getBatch(tenantId, id)
    if (batch === null) throw unknownBatch(id)
    yield batch
    return
  }
  let after: string | null = null
  for (;;) {
    const page = await service.listBatches(tenantId, { activeFirst: false, after, limit: BATCH_LIST_MAX })
    yield* page.items
    after = page.items.at(-1)?.id ?? null
    if (!page.hasMore || after === null) return
  }
}

function severalModels(batch: Batch): RefusedError {
  const message = `Requests of ${batch.id} cannot be told apart by model: it has several. Name another batch, or leave the model out.`
  return new RefusedError('invalid_value', message, { param: 'model' })
}

function tooMany(): RefusedError {
  const message = `More than ${RECORDS_SCANNED_MAX} requests lie before the ones you asked for. Name a batch.`
  return new RefusedError('invalid_value', message, { param: 'skip' })
}

function absent(what: string, request: FastifyRequest): RefusedError {
  return new RefusedError('not_found', `No such ${what}: '${idOf(request)}'.`, { status: 404 })
}
