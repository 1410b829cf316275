import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { presentError, presentFile, presentList } from '../contract/present.ts'
import { presentEstimate } from '../contract/present-figures.ts'
import { parse } from '../contract/refusal.ts'
import { contentQuery, estimateQuery, listFilesQuery } from '../contract/schemas.ts'
import type { WireErrorBody } from '../contract/wire.ts'
import type { StoredFile } from '../domain/file.ts'
import {
  EXPIRES_AFTER_SECONDS_MAX,
  EXPIRES_AFTER_SECONDS_MIN,
  FILENAME_CHARACTERS_MAX,
} from '../domain/limits.ts'
import type { Content, LineContent, Service, Upload } from '../engine/service.ts'
import { messageOf, RefusedError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { isTagAmong, type RangeAnswer, readRange } from './byte-range.ts'
import { unknownFile } from './errors.ts'
import { type FormPart, isForm, readForm } from './form.ts'
import { idOf, tenantOf } from './request-facts.ts'

const OPENAI_WINDOW = '24h'

export function addFileRoutes(app: FastifyInstance, service: Service, logger: Logger): void {
  app.post('/v1/files', async (request) => presentFile(await receive(request, service)))

  app.get('/v1/files', async (request) => {
    const query = parse(listFilesQuery, request.query)
    const page = await service.listFiles(tenantOf(request), {
      limit: query.limit,
      order: query.order,
      after: query.after ?? null,
      purpose: query.purpose ?? null,
    })
    return presentList(page.items.map(presentFile), page.hasMore)
  })

  app.get('/v1/files/:id', async (request) => {
    const file = await service.getFile(tenantOf(request), idOf(request))
    if (file === null) throw unknownFile(idOf(request))
    return presentFile(file)
  })

  app.delete('/v1/files/:id', async (request) => {
    const id = idOf(request)
    if (!(await service.deleteFile(tenantOf(request), id))) throw unknownFile(id)
    return { id, object: 'file', deleted: true }
  })

  app.get('/v1/files/:id/content', async (request, reply) => {
    const query = parse(contentQuery, request.query)
    const skip = query.skip ?? query.offset
    const [tenantId, id] = [tenantOf(request), idOf(request)]
    if (query.order === 'input') {
      // One place in the file cannot be a line number in two orders.
      if (skip !== undefined) throw skipInInputOrder()
      const content = await service.openInputOrder(tenantId, id)
      if (content !== null) reply.header('x-last-line', content.lastLine)
      return sendBytes(reply, content, { id, logger, order: 'input' })
    }
    if (skip !== undefined)
      return sendLines(reply, await service.openLines(tenantId, id, skip), { id, logger })
    return sendBytes(reply, await service.openContent(tenantId, id), { id, logger, order: null })
  })

  app.get('/v1/files/:id/findings', async (request, reply) => {
    const findings = await service.openFindings(tenantOf(request), idOf(request))
    if (findings === null) throw unknownFile(idOf(request))
    return sendStream(reply.type('application/x-ndjson'), { bytes: null, body: () => findings }, logger)
  })

  app.get('/v1/files/:id/cost-estimate', async (request) => {
    const window = parse(estimateQuery, request.query).completion_window ?? defaultWindow(service)
    const estimate = await service.estimateCost(tenantOf(request), idOf(request), window)
    if (estimate === null) throw unknownFile(idOf(request))
    return presentEstimate(estimate)
  })
}

/** The one that OpenAI knows, where this server has it. */
function defaultWindow(service: Service): string {
  const offered = service.windows.map(({ window }) => window)
  return offered.includes(OPENAI_WINDOW) ? OPENAI_WINDOW : (offered[0] ?? OPENAI_WINDOW)
}

function skipInInputOrder(): RefusedError {
  return new RefusedError(
    'invalid_value',
    "Invalid 'skip': lines are skipped in the order of completion only. Leave out 'order=input'.",
    { param: 'skip' },
  )
}

type Form = { filename: string | null; fields: Map<string, string> }
type FilePart = Extract<FormPart, { kind: 'file' }>
type FieldPart = Extract<FormPart, { kind: 'field' }>

/** Takes the parts in the order they come; what the fields say is judged once all are there. */
async function receive(request: FastifyRequest, service: Service): Promise<StoredFile> {
  if (!isForm(request.headers['content-type'])) {
    throw new RefusedError(
      'invalid_form',
      "Upload a file as multipart/form-data with the fields 'purpose' and 'file'.",
    )
  }
  const form: Form = { filename: null, fields: new Map() }
  let upload: Upload | null = null
  try {
    for await (const part of readForm(request.raw)) {
      if (part.kind === 'field') takeField(form, part)
      else if (part.name !== 'file' || upload !== null) throw unexpected(part.name)
      else {
        upload = await service.beginUpload(tenantOf(request))
        form.filename = await takeFile(part, upload)
      }
    }
    if (upload === null || form.filename === null)
      throw new RefusedError('invalid_form', "'file' is a required property")
    const purpose = form.fields.get('purpose')
    if (purpose === undefined) throw new RefusedError('invalid_purpose', "'purpose' is a required property")
    const expiresAfterSeconds = readExpiry(form.fields)
    const finished = upload
    upload = null
    return await finished.finish({ filename: form.filename, purpose, expiresAfterSeconds })
  } catch (thrown) {
    await upload?.abort()
    throw thrown
  }
}

async function takeFile(part: FilePart, upload: Upload): Promise<string> {
  for await (const chunk of part.chunks) await upload.write(chunk)
  // Clients write a quote in a name this way, and leave everything else as it is.
  const name = part.filename.replaceAll('%22', '"')
  if (name.length > FILENAME_CHARACTERS_MAX) {
    throw new RefusedError(
      'invalid_form',
      `The file name has ${name.length} characters, at most ${FILENAME_CHARACTERS_MAX} are possible.`,
    )
  }
  return name
}

const FIELDS: ReadonlySet<string> = new Set(['purpose', 'expires_after[anchor]', 'expires_after[seconds]'])

function takeField(form: Form, { name, value }: FieldPart): void {
  if (name === null || !FIELDS.has(name)) throw unexpected(name)
  form.fields.set(name, value)
}

function unexpected(name: string | null): RefusedError {
  if (name === null) return new RefusedError('invalid_form', 'A part of the form has no name.')
  return new RefusedError(
    'invalid_form',
    `Additional properties are not allowed ('${name.slice(0, 100)}' was unexpected)`,
  )
}

function readExpiry(fields: ReadonlyMap<string, string>): number | null {
  const anchor = fields.get('expires_after[anchor]')
  const text = fields.get('expires_after[seconds]')
  if (anchor === undefined && text === undefined) return null
  if (anchor !== 'created_at') {
    throw new RefusedError(
      'invalid_value',
      `Invalid value: '${anchor ?? ''}'. Supported values are: 'created_at'.`,
      { param: 'expires_after.anchor' },
    )
  }
  const value = Number(text)
  if (
    text === undefined ||
    !/^\d+$/.test(text) ||
    value < EXPIRES_AFTER_SECONDS_MIN ||
    value > EXPIRES_AFTER_SECONDS_MAX
  ) {
    throw new RefusedError(
      'invalid_value',
      `Invalid 'expires_after.seconds': expected an integer from ${EXPIRES_AFTER_SECONDS_MIN} to ${EXPIRES_AFTER_SECONDS_MAX}, but got '${(text ?? '').slice(0, 40)}' instead.`,
      { param: 'expires_after.seconds' },
    )
  }
  return value
}

type Sent = { id: string; logger: Logger }

function sendBytes(
  reply: FastifyReply,
  content: Content | null,
  { id, logger, order }: Sent & { order: 'input' | null },
): FastifyReply {
  if (content === null) throw unknownFile(id)
  const { headers } = reply.request
  // The bytes of a file only grow, so its id and length name them; in another order they are others.
  const tag = `"${content.file.id}-${content.bytes}${order === null ? '' : `-${order}`}"`
  describe(reply, content.file).header('etag', tag).header('accept-ranges', 'bytes')
  if (content.file.kind !== 'input') reply.header('x-incomplete', String(content.isIncomplete))
  if (isTagAmong(headers['if-none-match'], tag)) return reply.code(304).send()
  const ifRange = headers['if-range']
  const isSame = ifRange === undefined || ifRange === tag
  const range: RangeAnswer = isSame ? readRange(headers.range, content.bytes) : { kind: 'whole' }
  if (range.kind === 'unsatisfiable') {
    return reply
      .code(416)
      .header('content-range', `bytes */${content.bytes}`)
      .removeHeader('content-disposition')
      .type('application/json')
      .send(rangeError(content.bytes))
  }
  const { start, end } = range.kind === 'part' ? range : { start: 0, end: content.bytes }
  if (range.kind === 'part')
    reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${content.bytes}`)
  return sendStream(reply, { bytes: end - start, body: () => content.read({ start, end }) }, logger)
}

function rangeError(bytes: number): WireErrorBody {
  const message = `The range does not begin within the file, which has ${bytes} bytes.`
  return presentError({ message, type: 'invalid_request_error', param: 'Range', code: 'invalid_range' })
}

function sendLines(reply: FastifyReply, content: LineContent | null, { id, logger }: Sent): FastifyReply {
  if (content === null) throw unknownFile(id)
  describe(reply, content.file)
    .header('x-incomplete', String(content.isIncomplete))
    .header('x-last-line', content.lastLine)
  return sendStream(reply, { bytes: content.bytes, body: () => content.body }, logger)
}

/** @param content bytes: null when nobody has counted them */
function sendStream(
  reply: FastifyReply,
  content: { bytes: number | null; body: () => AsyncIterable<Uint8Array> },
  logger: Logger,
): FastifyReply {
  if (content.bytes !== null) reply.header('content-length', content.bytes)
  // An empty text would be counted, and its length would take the place of the one above.
  if (content.bytes === 0 || reply.request.method === 'HEAD') return reply.send(Readable.from([]))
  const body = Readable.from(content.body(), { objectMode: false })
  // The status is out by then. The connection breaks, so that the caller knows that it has not all of it; here the reason is kept.
  body.once('error', (thrown) => {
    logger.error({ requestId: reply.request.id, cause: messageOf(thrown) }, 'content broke off')
  })
  return reply.send(body)
}

function describe(reply: FastifyReply, file: StoredFile): FastifyReply {
  const plain = file.filename.replaceAll(/[^\x20-\x7e]|["\\]/g, '_')
  const exact = plain === file.filename ? '' : `; filename*=UTF-8''${encodeURIComponent(file.filename)}`
  return reply
    .type('application/octet-stream')
    .header('content-disposition', `attachment; filename="${plain}"${exact}`)
}
