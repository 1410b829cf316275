/**
 * Below the routes: what holds for every request, also for one that no route ever sees (a broken request line, headers over the limit).
 * Every reply names its request; a body that nobody reads any more cannot hold a connection; each exchange is told once, at its end.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { presentError } from '../contract/present.ts'
import {
  CONNECTION_IDLE_MS_MAX,
  CONNECTIONS_MAX,
  HEADERS_CHECK_MS,
  HEADERS_MS_MAX,
  KEEP_ALIVE_MS,
  UNREAD_BODY_MS_MAX,
} from '../domain/limits.ts'
import type { Clock } from '../lib/clock.ts'
import { systemCodeOf } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** One request and its reply, when the connection is done with both. */
export type Exchange = {
  method: string
  status: number
  ms: number
  requestId: string
  /** The caller hung up, or was cut off, before the reply was out. */
  isCut: boolean
}

export type HttpServers = {
  /** One for each address; `localhost` is two. */
  open(handle: Handle): Server
  requestIdOf(request: IncomingMessage): string
  /** Ends every connection, whatever runs on it, and each that still comes. */
  cutConnections(): void
}

export function createHttpServers(parts: {
  clock: Clock
  random: Random
  version: string
  onEnd: (request: IncomingMessage, exchange: Exchange) => void
  /** Other limits than the usual ones. */
  connections?: Partial<ConnectionLimits>
}): HttpServers {
  const { clock, random, version } = parts
  const limits = { ...usualLimits, ...parts.connections }
  const servers: Server[] = []
  let isCut = false
  const ids = new WeakMap<IncomingMessage, string>()
  /** The reply that is under way on a connection. */
  const open = new WeakMap<Duplex, ServerResponse>()
  const newRequestId = (): string => `req_${Buffer.from(random.bytes(16)).toString('hex')}`

  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const requestId = newRequestId()
    const startedMs = clock.monotonicMs()
    ids.set(request, requestId)
    open.set(request.socket, response)
    for (const [name, value] of headersOf(requestId, version)) response.setHeader(name, value)
    response.once('finish', () => readAway(request, clock))
    response.once('close', () => {
      open.delete(request.socket)
      parts.onEnd(request, {
        method: request.method ?? '',
        status: response.statusCode,
        ms: Math.round(clock.monotonicMs() - startedMs),
        requestId,
        isCut: !response.writableFinished,
      })
    })
  }
  const onBroken = (thrown: Error, socket: Duplex): void => {
    const isAnswered = open.get(socket)?.headersSent ?? false
    if (isAnswered || !socket.writable || systemCodeOf(thrown) === 'ECONNRESET') socket.destroy()
    else refuseBroken(socket, systemCodeOf(thrown), headersOf(newRequestId(), version))
  }
  return {
    open(handle) {
      const serve = (request: IncomingMessage, response: ServerResponse): void => {
        begin(request, response)
        handle(request, response)
      }
      const server = createServer(serverOptions(limits), serve)
      // An expectation that nobody knows is passed over; left alone, the server would refuse it in a reply that names no request.
      server.on('checkExpectation', serve)
      server.maxConnections = CONNECTIONS_MAX
      server.setTimeout(limits.idleMsMax)
      server.on('clientError', onBroken)
      // One that the system had accepted already, and that shows only now.
      server.on('connection', (socket) => {
        if (isCut) socket.destroy()
      })
      servers.push(server)
      return server
    },
    requestIdOf: (request) => ids.get(request) ?? newRequestId(),
    cutConnections() {
      isCut = true
      for (const server of servers) server.closeAllConnections()
    },
  }
}

type ConnectionLimits = { headersMsMax: number; headersCheckMs: number; idleMsMax: number }

const usualLimits: ConnectionLimits = {
  headersMsMax: HEADERS_MS_MAX,
  headersCheckMs: HEADERS_CHECK_MS,
  idleMsMax: CONNECTION_IDLE_MS_MAX,
}

const serverOptions = (limits: ConnectionLimits) => ({
  headersTimeout: limits.headersMsMax,
  connectionsCheckingInterval: limits.headersCheckMs,
  keepAliveTimeout: KEEP_ALIVE_MS,
  // An upload may take hours; a silent one ends by the limit on idle connections.
  requestTimeout: 0,
  // Whoever needs the name of the host refuses its absence in a reply of our own shape.
  requireHostHeader: false,
})

function headersOf(requestId: string, version: string): [string, string][] {
  return [
    ['x-request-id', requestId],
    ['x-content-type-options', 'nosniff'],
    ['dw-version', version],
  ]
}

/**
 * A refused upload is still being sent. Closing at once would reset the connection, and the caller would lose the very reply that
 * says why; so the rest is read and thrown away, for a while.
 */
function readAway(request: IncomingMessage, clock: Clock): void {
  if (request.complete || request.destroyed) return
  request.unpipe()
  request.resume()
  const { socket } = request
  const stop = (): void => {
    cancel()
    request.off('end', stop)
    socket.off('close', stop)
  }
  const cancel = clock.after(UNREAD_BODY_MS_MAX, () => socket.destroy())
  // A request whose reply is out does not tell that its connection closed.
  request.once('end', stop)
  socket.once('close', stop)
}

/** The parser gave up, so there is no request to answer in the ordinary way. */
function refuseBroken(socket: Duplex, code: string | null, headers: [string, string][]): void {
  const [status, message] =
    code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'The headers of this request are too large.']
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'The headers of this request took too long to arrive.']
        : [400, 'We could not parse your request: it is no valid HTTP.']
  const body = JSON.stringify(
    presentError({ message, type: 'invalid_request_error', param: null, code: null }),
  )
  const all: [string, string][] = [
    ...headers,
    ['content-type', 'application/json; charset=utf-8'],
    ['content-length', String(Buffer.byteLength(body))],
    ['connection', 'close'],
  ]
  const head = all.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body}`)
}
