/**
 * Typed client for OpenAI's Files and Batches routes, and for what our own server has beyond them. Web-standard APIs only.
 * Every call may throw `ApiError` or `UnreachableError`.
 */
import type {
  WireAnalytics,
  WireBatch,
  WireBatchError,
  WireCaller,
  WireCostEstimate,
  WireDeleted,
  WireFile,
  WireKey,
  WireList,
  WireModel,
  WireModelDetail,
  WirePriceList,
  WireUpstream,
  WireUsageReport,
} from '../contract/wire.ts'
import { createChatCalls } from './chat.ts'
import { formBody } from './multipart.ts'
import { createRuns } from './run.ts'
import { type Call, send, type TransportOptions } from './transport.ts'
import { type Ask, createWebhookCalls } from './webhook-calls.ts'

export { ApiError, isPassing, UnreachableError } from './errors.ts'

export type ClientOptions = {
  /** With or without `/v1`, with or without a trailing slash. */
  baseUrl: string
  /** The base URL is used as it is, also where it does not end in a version. */
  isBaseUrlExact?: boolean
  apiKey: string | null
  fetch?: typeof globalThis.fetch
  userAgent?: string
  /** Told before each wait for another try. */
  onRetry?: TransportOptions['onRetry']
}

export type UploadRequest = {
  name: string
  /** Called again for a retry. */
  content: () => AsyncIterable<Uint8Array>
  purpose?: string
  expiresAfterSeconds?: number
  idempotencyKey?: string
  onProgress?: (bytes: number) => void
  /** 1: the content cannot be made a second time. */
  attemptsMax?: number
  signal?: AbortSignal
}

export type CreateBatchRequest = {
  inputFileId: string
  endpoint: string
  completionWindow: string
  metadata?: Record<string, string>
  idempotencyKey?: string
  /** 1: no second try after a lost reply, which may have made the batch. */
  attemptsMax?: number
  signal?: AbortSignal
}

/** A file's bytes as they arrive. */
export type ContentReply = {
  body: AsyncIterable<Uint8Array>
  /** First byte of the body within the file: 0 unless a range was asked for and given. */
  startsAt: number
  bytes: number | null
  etag: string | null
  /** Only our server tells: more lines may follow. */
  isIncomplete: boolean | null
  lastLine: number | null
}

export type Client = ReturnType<typeof createClient>

const PAGE_LIMIT = 100

export function createClient(options: ClientOptions) {
  const transport: TransportOptions = {
    baseUrl:
      options.isBaseUrlExact === true
        ? options.baseUrl.replace(/\/+$/, '')
        : normaliseBaseUrl(options.baseUrl),
    apiKey: options.apiKey,
    fetch: options.fetch ?? globalThis.fetch,
    userAgent: options.userAgent ?? 'dw-client',
    onRetry: options.onRetry ?? (() => undefined),
  }
  let isDw: boolean | null = null
  const reply = async (call: Call): Promise<Response> => {
    const answer = await send(transport, call)
    isDw = answer.headers.has('dw-version')
    return answer
  }
  // The caller states the reply's shape; the server validates what it sends against the same types.
  const ask = async <T>(call: Call): Promise<T> => (await reply(call)).json() as Promise<T>
  const askIsDw = async (): Promise<boolean> => {
    if (isDw === null) await reply({ method: 'GET', path: '/models' })
    return isDw ?? false
  }
  const files = createFileCalls(ask, reply)
  const batches = createBatchCalls(ask)
  return {
    baseUrl: transport.baseUrl,
    /** Whether the server is one of ours; asks it when no reply has told yet. */
    isDw: askIsDw,
    files,
    /** `run` and `attach`: many requests as one call. */
    batches: { ...batches, ...createRuns({ ...files, ...batches, isDw: askIsDw }) },
    models: {
      list: async (signal?: AbortSignal): Promise<WireModel[]> =>
        (await ask<{ data: WireModel[] }>({ method: 'GET', path: '/models', signal })).data,
      /** `dw` only from our server. */
      get: (id: string, signal?: AbortSignal): Promise<WireModel & Partial<WireModelDetail>> =>
        ask({ method: 'GET', path: `/models/${part(id)}`, signal }),
    },
    chat: createChatCalls(reply),
    webhooks: createWebhookCalls(ask),
    /** What was used over time; only our server tells. Moments are ISO 8601 or seconds since 1970. */
    usage: (query: UsageRequest = {}): Promise<WireUsageReport> => {
      const { signal, ...rest } = query
      return ask({ method: 'GET', path: '/usage', query: rest, signal })
    },
    admin: createAdminCalls(ask),
    /** Whose key this is; only our server tells. */
    whoami: (signal?: AbortSignal): Promise<WireCaller> => ask({ method: 'GET', path: '/whoami', signal }),
    /** Alive, without a key. */
    health: (signal?: AbortSignal): Promise<{ status: string; server?: string; version?: string }> =>
      ask({ method: 'GET', path: '//health', signal }),
  }
}

type Reply = (call: Call) => Promise<Response>

function createFileCalls(ask: Ask, reply: Reply) {
  const list = (query: {
    purpose?: string | null
    limit?: number
    after?: string | null
    signal?: AbortSignal
  }): Promise<WireList<WireFile>> =>
    ask({
      method: 'GET',
      path: '/files',
      query: { purpose: query.purpose, limit: query.limit, after: query.after },
      signal: query.signal,
    })
  return {
    upload(request: UploadRequest): Promise<WireFile> {
      const fields: Record<string, string> = { purpose: request.purpose ?? 'batch' }
      if (request.expiresAfterSeconds !== undefined) {
        fields['expires_after[anchor]'] = 'created_at'
        fields['expires_after[seconds]'] = String(request.expiresAfterSeconds)
      }
      const onProgress = request.onProgress ?? (() => undefined)
      return ask({
        method: 'POST',
        path: '/files',
        body: () => formBody(fields, { name: request.name, content: request.content }, onProgress),
        headers: keyHeader(request.idempotencyKey),
        attemptsMax: request.attemptsMax,
        signal: request.signal,
      })
    },
    list,
    listAll: (query: { purpose?: string | null; signal?: AbortSignal } = {}) =>
      allPages((after) => list({ ...query, limit: PAGE_LIMIT, after })),
    get: (id: string, signal?: AbortSignal): Promise<WireFile> =>
      ask({ method: 'GET', path: `/files/${part(id)}`, signal }),
    delete: (id: string): Promise<WireDeleted> => ask({ method: 'DELETE', path: `/files/${part(id)}` }),
    /** @param query range: bytes from `start`, up to `end` (exclusive) when given */
    async content(
      id: string,
      query: {
        range?: { start: number; end?: number }
        skip?: number
        order?: 'input'
        signal?: AbortSignal
      } = {},
    ): Promise<ContentReply> {
      const { range } = query
      const headers: Record<string, string> =
        range === undefined
          ? {}
          : { range: `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}` }
      const answer = await reply({
        method: 'GET',
        path: `/files/${part(id)}/content`,
        query: { skip: query.skip, order: query.order },
        headers,
        signal: query.signal,
        // 416: the range begins at the end of the file, so nothing is left to read.
        accepts: [416],
      })
      return contentReply(answer)
    },
    findings: async (id: string): Promise<AsyncIterable<Uint8Array>> =>
      bodyOf(await reply({ method: 'GET', path: `/files/${part(id)}/findings` })),
    costEstimate: (id: string, window: string | null): Promise<WireCostEstimate> =>
      ask({ method: 'GET', path: `/files/${part(id)}/cost-estimate`, query: { completion_window: window } }),
  }
}

function createBatchCalls(ask: Ask) {
  type Query = { limit?: number; after?: string | null; activeFirst?: boolean; signal?: AbortSignal }
  const list = (query: Query): Promise<WireList<WireBatch>> =>
    ask({
      method: 'GET',
      path: '/batches',
      query: {
        limit: query.limit,
        after: query.after,
        active_first: query.activeFirst === true ? true : null,
      },
      signal: query.signal,
    })
  return {
    create(request: CreateBatchRequest): Promise<WireBatch> {
      const { inputFileId, endpoint, completionWindow, metadata } = request
      const json = {
        input_file_id: inputFileId,
        endpoint,
        completion_window: completionWindow,
        ...(metadata === undefined ? {} : { metadata }),
      }
      return ask({
        method: 'POST',
        path: '/batches',
        json,
        headers: keyHeader(request.idempotencyKey),
        attemptsMax: request.attemptsMax,
        signal: request.signal,
      })
    },
    get: (id: string, signal?: AbortSignal): Promise<WireBatch> =>
      ask({ method: 'GET', path: `/batches/${part(id)}`, signal }),
    list,
    listAll: (query: { activeFirst?: boolean; signal?: AbortSignal } = {}) =>
      allPages((after) => list({ ...query, limit: PAGE_LIMIT, after })),
    cancel: (id: string): Promise<WireBatch> => ask({ method: 'POST', path: `/batches/${part(id)}/cancel` }),
    retry: (
      id: string,
      request: { includeCancelled?: boolean; groups?: readonly string[]; idempotencyKey?: string } = {},
    ): Promise<WireBatch> =>
      ask({
        method: 'POST',
        path: `/batches/${part(id)}/retry`,
        json: {
          include_cancelled: request.includeCancelled ?? false,
          ...(request.groups !== undefined && { groups: request.groups }),
        },
        headers: keyHeader(request.idempotencyKey),
      }),
    analytics: (id: string): Promise<WireAnalytics> =>
      ask({ method: 'GET', path: `/batches/${part(id)}/analytics` }),
  }
}

export type UsageRequest = {
  since?: string | null
  until?: string | null
  /** Names with commas between them. */
  by?: string | null
  bucket?: string | null
  signal?: AbortSignal
}

function createAdminCalls(ask: Ask) {
  const prices = '//admin/v1/prices'
  const upstreams = '//admin/v1/upstreams'
  const keys = '//admin/v1/keys'
  return {
    upstreams: {
      list: async (): Promise<WireUpstream[]> =>
        (await ask<{ data: WireUpstream[] }>({ method: 'GET', path: upstreams })).data,
      add: (request: {
        url: string
        name?: string
        key?: string
        concurrency?: number
        test?: boolean
        models?: readonly string[]
      }): Promise<WireUpstream> => ask({ method: 'POST', path: upstreams, json: request }),
      remove: (name: string): Promise<{ name: string }> =>
        ask({ method: 'DELETE', path: `${upstreams}/${part(name)}` }),
      test: (name: string): Promise<WireUpstream> =>
        ask({ method: 'POST', path: `${upstreams}/${part(name)}/test` }),
    },
    prices: {
      list: (): Promise<WirePriceList> => ask({ method: 'GET', path: prices }),
      /** From now on. Amounts null: no price. @returns all that hold now */
      set: (wanted: readonly PriceRequest[]): Promise<WirePriceList> =>
        ask({ method: 'POST', path: prices, json: { prices: wanted } }),
    },
    keys: {
      list: async (): Promise<WireKey[]> =>
        (await ask<{ data: WireKey[] }>({ method: 'GET', path: keys })).data,
      create: (request: { name: string; tenant?: string; expires_at?: number }): Promise<WireKey> =>
        ask({ method: 'POST', path: keys, json: request }),
      revoke: (id: string): Promise<{ id: string }> => ask({ method: 'DELETE', path: `${keys}/${part(id)}` }),
    },
  }
}

type PriceRequest = {
  model: string
  window: string
  input_per_million: string | null
  cached_input_per_million?: string | null | undefined
  output_per_million: string | null
}

/** The base URL in its one form: without a trailing slash, ending in a version. */
export function normaliseBaseUrl(text: string): string {
  const trimmed = text.replace(/\/+$/, '')
  return /\/v\d+[a-z0-9]*$/.test(trimmed) ? trimmed : `${trimmed}/v1`
}

async function* allPages<T extends { id: string }>(
  page: (after: string | null) => Promise<WireList<T>>,
): AsyncGenerator<T> {
  let after: string | null = null
  for (;;) {
    const { data, has_more }: WireList<T> = await page(after)
    yield* data
    const last = data.at(-1)
    // A server that promises more but gives nothing would be asked for ever.
    if (!has_more || last === undefined || last.id === after) return
    after = last.id
  }
}

function contentReply(answer: Response): ContentReply {
  const range = /^bytes (\d+)-/.exec(answer.headers.get('content-range') ?? '')
  const length = answer.headers.get('content-length')
  const incomplete = answer.headers.get('x-incomplete')
  const lastLine = answer.headers.get('x-last-line')
  return {
    body: answer.status === 416 ? emptyBody() : bodyOf(answer),
    startsAt: range === null ? 0 : Number(range[1]),
    bytes: length === null ? null : Number(length),
    etag: answer.headers.get('etag'),
    isIncomplete: incomplete === null ? null : incomplete === 'true',
    lastLine: lastLine === null ? null : Number(lastLine),
  }
}

async function* bodyOf(answer: Response): AsyncGenerator<Uint8Array> {
  if (answer.body === null) return
  // A stream of `fetch` can be iterated in every runtime that has `AsyncIterator`; the type does not say so everywhere.
  yield* answer.body as unknown as AsyncIterable<Uint8Array>
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {
  // Nothing is left to read.
}

function keyHeader(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { 'idempotency-key': key }
}

function part(id: string): string {
  return encodeURIComponent(id)
}

export type {
  WireAnalytics,
  WireBatch,
  WireBatchError,
  WireCaller,
  WireCostEstimate,
  WireFile,
  WireKey,
  WireList,
  WireModel,
  WireUpstream,
}
