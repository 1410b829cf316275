/**
 * A real HTTP server with exactly OpenAI's Files, Batches and Models routes, in memory: whatever else is asked gets OpenAI's answer to
 * an unknown address. Time passes only when somebody looks: each GET of a batch or of the list moves every batch one step on, so that
 * nothing depends on a clock.
 *
 *   const service = await startOpenAiService({ answer: ({ customId }) => (customId === 'bad' ? { status: 400 } : null) })
 *   runDw(['batches', 'run', 'f.jsonl', '--watch'], { env: { ...sandbox.env, ...service.env } })
 *   service.askedById.get('bad')            // how often its model was asked
 *   service.knobs.linesPerLook = 10         // from now on
 *   service.interfere = ({ path }) => (path.endsWith('/content') ? { cutAfterBytes: 1000 } : null)
 *   await service.stop()
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WireBatch, WireFile } from '../../src/contract/wire.ts'
import { createService, type Knobs, type Service } from './openai-batches.ts'

/** A request that has arrived. */
export type Asked = {
  /** Among all requests, from 0. */
  number: number
  method: string
  /** Without the query. */
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: Buffer
}

/** What happens to a reply: nothing (null), another one, a connection that breaks before it or after so many bytes of the body. */
export type Interference =
  | { status: number; body: unknown; headers?: Record<string, string> }
  /** `after`: the request has its effect, only its reply is lost. */
  | { reset: 'before' | 'after' }
  | { cutAfterBytes: number }
  | null

export type OpenAiService = Pick<Service, 'askedById' | 'batches' | 'batch' | 'files' | 'addFile'> & {
  /** Ends in `/v1`. */
  url: string
  /** The two variables that point an OpenAI client here. */
  env: { OPENAI_BASE_URL: string; OPENAI_API_KEY: string }
  knobs: Knobs & ServiceKnobs
  /** Every request so far. */
  asked: Asked[]
  /** Called for every request; may be replaced at any time. */
  interfere: (asked: Asked) => Interference
  stop(): Promise<void>
}

type ServiceKnobs = {
  /** Whether content can be asked for from a byte on (OpenAI's cannot). */
  knowsRanges: boolean
  /** Whether a second creation under one `Idempotency-Key` gives the first batch. */
  knowsIdempotencyKeys: boolean
  /** Leaves out what the specification does not demand: nulls, counts of a batch that validates, usage and model. */
  isSparse: boolean
  /** What an address that is not OpenAI's gets. */
  unknownUrl: (asked: Asked) => { status: number; body: unknown }
}

const KEY = 'sk-test-openai-service'

const defaults: Knobs & ServiceKnobs = {
  answer: () => null,
  linesPerLook: Number.POSITIVE_INFINITY,
  expiresAfterLines: null,
  writesUnanswered: true,
  enqueuedLinesMax: Number.POSITIVE_INFINITY,
  linesMax: 50_000,
  bytesMax: 200 * 1024 * 1024,
  isOneModel: true,
  models: ['gpt-test'],
  knowsRanges: false,
  knowsIdempotencyKeys: false,
  isSparse: false,
  unknownUrl: ({ method, path }) => refusal(404, `Invalid URL (${method} ${path})`),
}

export async function startOpenAiService(knobs: Partial<Knobs & ServiceKnobs> = {}): Promise<OpenAiService> {
  const all = { ...defaults, ...knobs }
  const service = createService(all)
  const keys = new Map<string, string>()
  const server = createServer((request, response) => {
    receive(request, asked.length)
      .then((one) => {
        asked.push(one)
        send(one, response, { interference: running.interfere(one), service, knobs: all, keys })
      })
      // The caller hung up while its body was read.
      .catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Listening on TCP, so the address is of that kind.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const asked: Asked[] = []
  const { askedById, batches, batch, files, addFile } = service
  const running: OpenAiService = {
    ...{ url, asked, askedById, batches, batch, files, addFile, knobs: all },
    env: { OPENAI_BASE_URL: url, OPENAI_API_KEY: KEY },
    interfere: () => null,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return running
}

async function receive(request: IncomingMessage, number: number): Promise<Asked> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const url = new URL(request.url ?? '/', 'http://service')
  return {
    number,
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body: Buffer.concat(chunks),
  }
}

type Reply = { status: number; body: unknown; headers?: Record<string, string> }
type Parts = { service: Service; knobs: Knobs & ServiceKnobs; keys: Map<string, string> }

function send(asked: Asked, response: ServerResponse, parts: Parts & { interference: Interference }): void {
  const { interference } = parts
  if (interference !== null && 'reset' in interference) {
    if (interference.reset === 'before') return void response.destroy()
    void Promise.resolve(answer(asked, parts)).then(() => response.destroy())
    return
  }
  const isReply = interference !== null && 'status' in interference
  const cutAfterBytes =
    interference !== null && 'cutAfterBytes' in interference ? interference.cutAfterBytes : null
  Promise.resolve(isReply ? interference : answer(asked, parts))
    .then(({ status, body, headers }) => {
      const isBytes = Buffer.isBuffer(body)
      const bytes = isBytes ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
      const type = isBytes
        ? 'application/octet-stream'
        : typeof body === 'string'
          ? 'text/html'
          : 'application/json'
      response.writeHead(status, {
        'content-type': type,
        'content-length': bytes.byteLength,
        'x-request-id': `req_${asked.number}`,
        ...headers,
      })
      if (cutAfterBytes === null || cutAfterBytes >= bytes.byteLength) return response.end(bytes)
      return response.write(bytes.subarray(0, cutAfterBytes), () => response.destroy())
    })
    .catch((thrown: unknown) => response.writeHead(500).end(String(thrown)))
}

function answer(asked: Asked, parts: Parts): Reply | Promise<Reply> {
  if (asked.headers.authorization !== `Bearer ${KEY}`) {
    const message =
      'Incorrect API key provided: wrong. You can find your API key at https://platform.openai.com/account/api-keys.'
    return refusal(401, message, { code: 'invalid_api_key' })
  }
  const words = asked.path.split('/').slice(2).map(decodeURIComponent)
  const route = `${asked.method} ${[words[0], ...(words[1] === undefined ? [] : [':id']), ...words.slice(2)].join('/')}`
  const id = words[1] ?? ''
  const handler = asked.path.startsWith('/v1/') ? routes[route] : undefined
  return handler === undefined ? parts.knobs.unknownUrl(asked) : handler({ asked, id, ...parts })
}

type Handler = (request: Parts & { asked: Asked; id: string }) => Reply | Promise<Reply>

const routes: Readonly<Record<string, Handler>> = {
  'POST files': upload,
  'GET files': ({ asked, service }) => {
    const purpose = asked.query.get('purpose')
    const all = [...service.files.values()].map(({ wire }) => wire).toReversed()
    return ok(
      page(
        all.filter((file) => purpose === null || file.purpose === purpose),
        asked,
        10_000,
      ),
    )
  },
  'GET files/:id': ({ id, service }) => withFile(service, id, ({ wire }) => ok(wire)),
  'DELETE files/:id': ({ id, service }) =>
    withFile(service, id, () => {
      service.files.delete(id)
      return ok({ id, object: 'file', deleted: true })
    }),
  'GET files/:id/content': ({ id, service, asked, knobs }) =>
    withFile(service, id, ({ bytes }) => {
      const start = knobs.knowsRanges ? /^bytes=(\d+)-/.exec(asked.headers.range ?? '')?.[1] : undefined
      if (start === undefined) return { status: 200, body: bytes }
      const range = `bytes ${start}-${bytes.byteLength - 1}/${bytes.byteLength}`
      return { status: 206, body: bytes.subarray(Number(start)), headers: { 'content-range': range } }
    }),
  'POST batches': create,
  'GET batches': ({ asked, service, knobs }) => {
    service.look()
    const all = service.batches().toReversed()
    return ok(
      page(
        all.map((batch) => shown(batch, knobs)),
        asked,
        20,
      ),
    )
  },
  'GET batches/:id': ({ id, service, knobs }) => {
    service.look()
    const batch = service.batch(id)
    return batch === null ? unknownBatch(id) : ok(shown(batch, knobs))
  },
  'POST batches/:id/cancel': ({ id, service, knobs }) => {
    const batch = service.batch(id)
    if (batch === null) return unknownBatch(id)
    if (service.cancel(id)) return ok(shown(batch, knobs))
    return refusal(409, `Cannot cancel a batch with status '${batch.status}'.`)
  },
  'GET models': ({ knobs }) => ok({ object: 'list', data: knobs.models.map(modelOf) }),
  'GET models/:id': ({ id, knobs }) =>
    knobs.models.includes(id)
      ? ok(modelOf(id))
      : refusal(404, `The model '${id}' does not exist`, { code: 'model_not_found', param: 'model' }),
}

async function upload({ asked, service, knobs }: Parts & { asked: Asked }): Promise<Reply> {
  const headers = { 'content-type': String(asked.headers['content-type']) }
  // A Buffer over its own memory is a body as it is.
  const form = await new Response(asked.body as Uint8Array<ArrayBuffer>, { headers }).formData()
  const [file, purpose] = [form.get('file'), form.get('purpose')]
  if (typeof purpose !== 'string') return refusal(400, "'purpose' is a required property")
  if (!(file instanceof File)) return refusal(400, "'file' is a required property")
  if (file.size > knobs.bytesMax) return refusal(400, 'File is too large.')
  const bytes = Buffer.from(await file.arrayBuffer())
  if (purpose === 'batch' && (!file.name.endsWith('.jsonl') || bytes[0] !== 0x7b))
    return refusal(400, 'Invalid file format for Batch API. Must be .jsonl')
  return ok(service.addFile(file.name, bytes, purpose))
}

function create({ asked, service, knobs, keys }: Parts & { asked: Asked }): Reply {
  // What a test sends; anything else ends in a 500 that names it.
  const request = JSON.parse(asked.body.toString('utf8')) as Pick<
    WireBatch,
    'input_file_id' | 'endpoint' | 'completion_window' | 'metadata'
  >
  if (request.completion_window !== '24h') {
    const message = `Invalid value: '${request.completion_window}'. Supported values are: '24h'.`
    return refusal(400, message, { code: 'invalid_value', param: 'completion_window' })
  }
  if (Object.keys(request.metadata ?? {}).length > 16)
    return refusal(400, "Invalid 'metadata': too many properties.", {
      code: 'object_above_max_properties',
      param: 'metadata',
    })
  const key = knobs.knowsIdempotencyKeys ? asked.headers['idempotency-key'] : undefined
  const known = typeof key === 'string' ? service.batch(keys.get(key) ?? '') : null
  const batch = known ?? service.createBatch({ ...request, metadata: request.metadata ?? null })
  if (typeof key === 'string') keys.set(key, batch.id)
  return ok(shown(batch, knobs))
}

function withFile(
  service: Service,
  id: string,
  give: (file: { wire: WireFile; bytes: Buffer }) => Reply,
): Reply {
  const file = service.files.get(id)
  return file === undefined ? refusal(404, `No such File object: ${id}`, { param: 'id' }) : give(file)
}

function page<T extends { id?: unknown }>(all: readonly T[], { query }: Asked, limitElse: number): unknown {
  const after = query.get('after')
  const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1
  const data = all.slice(from, from + Number(query.get('limit') ?? limitElse))
  const ids = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
  return { object: 'list', data, ...ids, has_more: from + data.length < all.length }
}

function shown(batch: object, { isSparse }: ServiceKnobs): Record<string, unknown> {
  const all = Object.entries(batch)
  if (!isSparse) return Object.fromEntries(all)
  const counts = 'status' in batch && batch.status === 'validating' ? ['request_counts'] : []
  const hidden = new Set(['usage', 'model', ...counts])
  return Object.fromEntries(all.filter(([name, value]) => value !== null && !hidden.has(name)))
}

function modelOf(id: string): unknown {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'test' }
}

function ok(body: unknown): Reply {
  return { status: 200, body }
}

function unknownBatch(id: string): Reply {
  return refusal(404, `No batch found with id '${id}'.`)
}

function refusal(
  status: number,
  message: string,
  { code = null, param = null }: { code?: string; param?: string } | { code?: null; param?: null } = {},
): Reply {
  return { status, body: { error: { message, type: 'invalid_request_error', param, code } } }
}
