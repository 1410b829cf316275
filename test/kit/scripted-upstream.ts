/**
 * A real HTTP upstream for tests. It records every call, counts them per line, and answers as the test's script says: with any
 * status, headers and bytes, after a gate that the test opens, or not at all, or by breaking the connection at a chosen point.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

export type RecordedCall = {
  /** Position among all inference calls, from 0. */
  number: number
  path: string
  headers: IncomingHttpHeaders
  /** SHA-256 of the body, hex. */
  bodyHash: string
  body: Buffer
  /** `Idempotency-Key`: names the line. Empty when absent. */
  key: string
  requestId: string
  authorization: string | null
  /** Calls with the same key before this one. */
  attempt: number
  startedAt: number
  /** Null until the reply was sent whole, or the connection closed. */
  endedAt: number | null
  isCut: boolean
}

export type Reply = {
  /** Awaited before the first byte. */
  gate?: Promise<unknown>
  status?: number
  headers?: Record<string, string>
  /** Sent as they are: any bytes, also HTML or broken JSON. An object is sent as JSON. */
  body?: string | Uint8Array | Record<string, unknown>
  /** `content-length` that differs from the bytes sent; the connection is closed after them. */
  contentLength?: number
  /**
   * Where the connection breaks (`reset…`) or falls silent for good (`hang…`):
   * before any byte, after half of the header block, or after half of the body.
   */
  breakAt?: 'reset' | 'reset-in-headers' | 'reset-in-body' | 'hang' | 'hang-in-headers' | 'hang-in-body'
  /**
   * In place of all the rest: bytes past the HTTP layer, each part written when it comes, and what becomes of the connection.
   * On one that is kept only further raw replies can follow: the HTTP layer still waits for its own end of this one.
   */
  raw?: {
    parts: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>
    end: 'keep' | 'close' | 'reset'
  }
}

export type ScriptedUpstream = {
  /** Base URL, ends in `/v1`; `https` when it has a certificate. */
  url: string
  port: number
  calls: RecordedCall[]
  /** Calls of each line, by `Idempotency-Key`. */
  callsByKey: Map<string, number>
  inFlight(): number
  /** Highest number of calls in flight at once so far. */
  inFlightMax(): number
  /** Resolves once this many calls have arrived since the start. */
  arrived(count: number): Promise<void>
  /** Replaces the list of models; later `/v1/models` show it. */
  setModels(models: readonly string[]): void
  /** Replaces the reply to `/v1/models`; null goes back to the list. */
  setModelsReply(reply: Reply | null): void
  setScript(script: Script): void
  /** Resolves once everything that callers sent before they went away has been read: no connection is open any more. */
  deserted(): Promise<void>
  stop(): Promise<void>
}

/** Longest wait for calls that a test expects. */
const ARRIVAL_MS_MAX = 30_000
/** Longest wait for connections of callers that are gone. */
const DESERTED_MS_MAX = 30_000

/** @returns null or undefined: the plain success reply */
export type Script = (call: RecordedCall) => Reply | null | undefined

export type ScriptedOptions = {
  models: readonly string[]
  script?: Script
  port?: number
  /** Keep bodies (default) or only their hashes: a large run should not hold them. */
  keepsBodies?: boolean
  /** Keep calls and their numbers per line (default), or leave it to the script what to remember: a long run should not hold them. */
  keepsCalls?: boolean
  /** PEM; the server speaks TLS then. */
  tls?: { key: string; cert: string }
}

export async function startScriptedUpstream(options: ScriptedOptions): Promise<ScriptedUpstream> {
  const state = new Recorder(options)
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    state.handle(request, response).catch(() => {
      // The caller hung up while its body was read; nothing arrived that could be recorded.
      response.destroy()
    })
  }
  const { tls } = options
  const times = { keepAliveTimeout: 60_000, requestTimeout: 0 }
  const server =
    tls === undefined ? createServer(times, handle) : createTlsServer({ ...times, ...tls }, handle)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/v1`,
    port,
    calls: state.calls,
    callsByKey: state.callsByKey,
    inFlight: () => state.inFlight,
    inFlightMax: () => state.inFlightMax,
    arrived: (count) => state.arrived(count),
    setModels: (models) => {
      state.models = models
    },
    setModelsReply: (reply) => {
      state.modelsReply = reply
    },
    setScript: (script) => {
      state.script = script
    },
    deserted: () => deserted(server, port),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function deserted(server: Server, port: number): Promise<void> {
  // Connections are accepted in their order: when this one has been, so has every one that the system still held back.
  const last = connect(port, '127.0.0.1')
  await Promise.all([
    once(last, 'connect'),
    new Promise<void>((resolve) => {
      server.on('connection', function look(socket) {
        if (socket.remotePort !== last.localPort) return
        server.off('connection', look)
        resolve()
      })
    }),
  ])
  last.destroy()
  const giveUpAt = performance.now() + DESERTED_MS_MAX
  const count = promisify(server.getConnections.bind(server))
  while ((await count()) > 0) {
    if (performance.now() > giveUpAt) throw new Error('connections to the upstream stay open')
    await delay(1)
  }
}

class Recorder {
  readonly calls: RecordedCall[] = []
  readonly callsByKey = new Map<string, number>()
  readonly #waiting: { count: number; resolve: () => void }[] = []
  readonly #keepsBodies: boolean
  readonly #keepsCalls: boolean
  #arrivals = 0
  models: readonly string[]
  modelsReply: Reply | null = null
  script: Script
  inFlight = 0
  inFlightMax = 0

  constructor(options: ScriptedOptions) {
    this.models = options.models
    this.script = options.script ?? (() => null)
    this.#keepsBodies = options.keepsBodies ?? true
    this.#keepsCalls = options.keepsCalls ?? true
  }

  arrived(count: number): Promise<void> {
    if (this.#arrivals >= count) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const giveUp = setTimeout(
        () => reject(new Error(`only ${this.#arrivals} of ${count} calls arrived`)),
        ARRIVAL_MS_MAX,
      )
      this.#waiting.push({
        count,
        resolve: () => {
          clearTimeout(giveUp)
          resolve()
        },
      })
    })
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (request.method === 'GET') {
      const data = this.models.map((id) => ({ id, object: 'model', created: 1, owned_by: 'test' }))
      return send(response, this.modelsReply ?? { body: { object: 'list', data } })
    }
    const call = this.#record(request, Buffer.concat(chunks))
    const end = (isCut: boolean): void => {
      if (call.endedAt !== null) return
      this.inFlight -= 1
      call.endedAt = performance.now()
      call.isCut = isCut
    }
    response.once('close', () => end(!response.writableFinished))
    const reply = this.script(call) ?? { body: plainAnswer(call) }
    await send(response, reply)
    // The HTTP layer never learns of an answer that went past it.
    if (reply.raw?.end === 'keep') end(request.socket.destroyed)
  }

  #record(request: IncomingMessage, body: Buffer): RecordedCall {
    const key = String(request.headers['idempotency-key'] ?? '')
    const attempt = this.callsByKey.get(key) ?? 0
    if (this.#keepsCalls) this.callsByKey.set(key, attempt + 1)
    const call: RecordedCall = {
      number: this.#arrivals,
      path: request.url ?? '',
      headers: request.headers,
      bodyHash: createHash('sha256').update(body).digest('hex'),
      body: this.#keepsBodies ? body : Buffer.alloc(0),
      key,
      requestId: String(request.headers['x-request-id'] ?? ''),
      authorization: request.headers.authorization ?? null,
      attempt,
      startedAt: performance.now(),
      endedAt: null,
      isCut: false,
    }
    this.#arrivals += 1
    if (this.#keepsCalls) this.calls.push(call)
    this.inFlight += 1
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight)
    for (const waiter of this.#waiting.filter((waiter) => waiter.count <= this.#arrivals)) {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
      waiter.resolve()
    }
    return call
  }
}

/** A small valid answer whose content names the call's body, so that a mix-up of lines is visible. */
export function plainAnswer(call: Pick<RecordedCall, 'number' | 'bodyHash'>): Record<string, unknown> {
  return {
    id: `chatcmpl-test-${call.number}`,
    object: 'chat.completion',
    created: 1,
    model: 'test',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: call.bodyHash },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  }
}

/** An error in OpenAI's form. */
export function errorReply(
  status: number,
  error: { code?: string; type?: string; message?: string } = {},
): Reply {
  const { code = null, type = 'test_error', message = `scripted ${status}` } = error
  return { status, body: { error: { message, type, param: null, code } } }
}

/** A promise that the test opens: `gate.opened` goes into replies. */
export function createGate(): { opened: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

async function send(response: ServerResponse, reply: Reply): Promise<void> {
  await reply.gate
  // Not the socket of the response, which has none while an answer before it went past the HTTP layer.
  if (reply.raw !== undefined) return sendRaw(response.req.socket, reply.raw)
  const isObject = typeof reply.body === 'object' && !(reply.body instanceof Uint8Array)
  const body = Buffer.from(
    isObject ? JSON.stringify(reply.body) : ((reply.body as string | Uint8Array | undefined) ?? ''),
  )
  const headers = {
    'content-type': isObject ? 'application/json' : 'text/plain',
    'content-length': String(reply.contentLength ?? body.byteLength),
    ...reply.headers,
  }
  if (response.destroyed || reply.breakAt === 'hang') return
  if (reply.breakAt === undefined && reply.contentLength === undefined) {
    response.writeHead(reply.status ?? 200, headers)
    response.end(body)
    return
  }
  sendBroken(response, { reply, body, headers })
}

/** Writes past the HTTP layer, which would not let a wrong message out. */
function sendBroken(
  response: ServerResponse,
  message: { reply: Reply; body: Buffer; headers: Record<string, string> },
): void {
  const { reply, body } = message
  const { socket } = response
  if (socket === null) return
  const lines = Object.entries(message.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = Buffer.from(`HTTP/1.1 ${reply.status ?? 200} Scripted\r\n${lines.join('')}\r\n`)
  const phase = reply.breakAt?.replace(/^(reset|hang)-?/, '') ?? 'end'
  const part = {
    '': Buffer.alloc(0),
    'in-headers': head.subarray(0, head.byteLength >> 1),
    'in-body': Buffer.concat([head, body.subarray(0, body.byteLength >> 1)]),
    end: Buffer.concat([head, body]),
  }[phase]
  const isHang = reply.breakAt?.startsWith('hang') ?? false
  const finish = (): void => {
    if (reply.breakAt === undefined) socket.end()
    else if (!isHang) socket.resetAndDestroy()
  }
  if (part === undefined || part.byteLength === 0) finish()
  else socket.write(part, finish)
}

async function sendRaw(socket: Socket, { parts, end }: NonNullable<Reply['raw']>): Promise<void> {
  for await (const part of parts) {
    if (socket.destroyed) return
    await new Promise<void>((resolve) => socket.write(part, () => resolve()))
  }
  if (end === 'close') socket.end()
  if (end === 'reset') socket.resetAndDestroy()
}
