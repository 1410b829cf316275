/**
 * One call over HTTP, with the retries of OpenAI's SDKs: connection errors, 408, 409, 429 and 5xx, unless the server says otherwise.
 * A key goes only to the origin it was given for: redirects are not followed with it.
 */
import { ApiError, errorOf, isPassing, UnreachableError } from './errors.ts'

export type TransportOptions = {
  /** Ends in a version such as `/v1`; without a trailing slash. */
  baseUrl: string
  apiKey: string | null
  fetch: typeof globalThis.fetch
  userAgent: string
  onRetry: (facts: { attempt: number; delayMs: number; reason: string }) => void
}

export type Call = {
  method: 'GET' | 'POST' | 'DELETE'
  /** Below the base URL, or from the origin when it begins with `//`. */
  path: string
  query?: Record<string, string | number | boolean | null | undefined>
  json?: unknown
  /** A body that can be made again for a retry. */
  body?: () => { content: ReadableStream<Uint8Array>; type: string }
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
  /** Statuses that are answers, not errors. */
  accepts?: readonly number[]
  /** Tries, the first one too; 1 leaves it to the caller what a lost reply means. */
  attemptsMax?: number | undefined
}

const ATTEMPTS_MAX = 4
const DELAY_MS_FIRST = 500
const DELAY_MS_MAX = 8_000
/** A server that asks for more is asked again on our own schedule. */
const RETRY_AFTER_MS_MAX = 60_000

export async function send(options: TransportOptions, call: Call): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const ended = await attemptOnce(options, call)
    if ('reply' in ended) return ended.reply
    const isLast = attempt >= (call.attemptsMax ?? ATTEMPTS_MAX)
    if (isLast || !ended.mayRetry) throw ended.error
    const delayMs =
      ended.delayMs ?? Math.random() * Math.min(DELAY_MS_MAX, DELAY_MS_FIRST * 2 ** (attempt - 1))
    options.onRetry({ attempt, delayMs, reason: ended.error.message })
    await sleep(delayMs, call.signal)
  }
}

type Ended = { reply: Response } | { error: Error; mayRetry: boolean; delayMs: number | null }

async function attemptOnce(options: TransportOptions, call: Call): Promise<Ended> {
  let reply: Response
  try {
    reply = await options.fetch(urlOf(options.baseUrl, call), requestOf(options, call))
  } catch (thrown) {
    call.signal?.throwIfAborted()
    const error = new UnreachableError(options.baseUrl, thrown)
    return { error, mayRetry: isPassing(error), delayMs: null }
  }
  if (reply.ok || call.accepts?.includes(reply.status)) return { reply }
  if (reply.status >= 300 && reply.status < 400) {
    const target = reply.headers.get('location') ?? 'nowhere'
    const message = `${options.baseUrl} redirects to ${target}. Use that address if you trust it; the key was not sent there.`
    return {
      error: new ApiError({
        status: reply.status,
        code: 'redirected',
        param: null,
        message,
        requestId: reply.headers.get('x-request-id'),
      }),
      mayRetry: false,
      delayMs: null,
    }
  }
  const { headers } = reply
  return {
    error: await errorOf(reply),
    mayRetry: mayRetry(reply.status, headers),
    delayMs: retryAfterMs(headers),
  }
}

function requestOf(options: TransportOptions, call: Call): RequestInit {
  const headers: Record<string, string> = { accept: '*/*', 'user-agent': options.userAgent, ...call.headers }
  if (options.apiKey !== null) headers.authorization = `Bearer ${options.apiKey}`
  const request: RequestInit & { duplex?: 'half' } = { method: call.method, headers, redirect: 'manual' }
  if (call.signal !== undefined) request.signal = call.signal
  if (call.json !== undefined) {
    headers['content-type'] = 'application/json'
    request.body = JSON.stringify(call.json)
  } else if (call.body !== undefined) {
    const { content, type } = call.body()
    headers['content-type'] = type
    request.body = content
    // Demanded by `fetch` for a body that is a stream.
    request.duplex = 'half'
    // With any other choice `fetch` keeps a copy of the stream for a request it might repeat: the whole file, in memory.
    request.redirect = 'error'
    request.window = null
  }
  return request
}

function urlOf(baseUrl: string, call: Call): URL {
  const url = call.path.startsWith('//')
    ? new URL(call.path.slice(1), new URL(baseUrl).origin)
    : new URL(baseUrl + call.path)
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== null && value !== undefined) url.searchParams.set(name, String(value))
  }
  return url
}

function mayRetry(status: number, headers: Headers): boolean {
  const should = headers.get('x-should-retry')
  if (should === 'true') return true
  if (should === 'false') return false
  return status === 408 || status === 409 || status === 429 || status >= 500
}

function retryAfterMs(headers: Headers): number | null {
  const exact = Number.parseFloat(headers.get('retry-after-ms') ?? '')
  const seconds = Number.parseFloat(headers.get('retry-after') ?? '')
  const ms = Number.isFinite(exact)
    ? exact
    : Number.isFinite(seconds)
      ? seconds * 1000
      : Date.parse(headers.get('retry-after') ?? '') - Date.now()
  return Number.isFinite(ms) && ms >= 0 && ms <= RETRY_AFTER_MS_MAX ? ms : null
}

/** @throws the reason of an abort */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted === true) abort()
  })
}
