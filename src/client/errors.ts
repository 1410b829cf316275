/** What a call can end in besides its answer. */

/** The server answered with an error. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string | null
  readonly param: string | null
  readonly requestId: string | null
  /** What was asked; null where that is not known. */
  readonly url: string | null

  constructor(facts: {
    status: number
    code: string | null
    param: string | null
    message: string
    requestId: string | null
    url?: string
  }) {
    super(facts.message)
    this.name = 'ApiError'
    this.status = facts.status
    this.code = facts.code
    this.param = facts.param
    this.requestId = facts.requestId
    this.url = facts.url ?? null
  }
}

/** What kept a call from being answered. */
export type UnreachableCode = 'unreachable' | 'dns_failed' | 'tls_failed' | 'timed_out'

/** No answer came, also after retries. */
export class UnreachableError extends Error {
  readonly baseUrl: string
  readonly code: UnreachableCode

  constructor(baseUrl: string, cause: unknown) {
    super(`cannot reach ${baseUrl}: ${reasonOf(cause)}`, { cause })
    this.name = 'UnreachableError'
    this.baseUrl = baseUrl
    this.code = codeOf(innerCodeOf(cause) ?? '')
  }
}

/** By the code that the network or the TLS library gives; the words stand before it in the message. */
const reasons: readonly { matches: RegExp; code: UnreachableCode; words: string }[] = [
  { matches: /^ECONNREFUSED$/, code: 'unreachable', words: 'the connection was refused' },
  { matches: /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, code: 'unreachable', words: 'the connection broke' },
  { matches: /^(ENOTFOUND|EAI_\w+)$/, code: 'dns_failed', words: 'the name of the host is not known' },
  { matches: /^(ETIMEDOUT|UND_ERR_\w*TIMEOUT)$/, code: 'timed_out', words: 'no answer came in time' },
  {
    matches: /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID)$/,
    code: 'tls_failed',
    words: 'its certificate is not valid today',
  },
  {
    matches: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    code: 'tls_failed',
    words: 'its certificate is for another name',
  },
  { matches: /SELF_SIGNED|^UNABLE_TO_|^CERT_/, code: 'tls_failed', words: 'its certificate is not trusted' },
  { matches: /^EPROTO$|^ERR_(SSL|TLS)_/, code: 'tls_failed', words: 'it does not speak TLS as expected' },
]

function codeOf(name: string): UnreachableCode {
  return reasons.find(({ matches }) => matches.test(name))?.code ?? 'unreachable'
}

/** Whether the same call may succeed later: no connection, a cut body, 408, 429, 5xx. */
export function isPassing(thrown: unknown): boolean {
  if (thrown instanceof ApiError)
    return thrown.status === 408 || thrown.status === 429 || thrown.status >= 500
  // A certificate that is not trusted now will not be on the next look.
  if (thrown instanceof UnreachableError) return thrown.code !== 'tls_failed'
  // What `fetch` throws when a connection breaks, before or while the body is read.
  return thrown instanceof TypeError
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const name = innerCodeOf(cause)
  if (name === null) return cause.cause instanceof Error ? cause.cause.message : cause.message
  const known = reasons.find(({ matches }) => matches.test(name))
  return known === undefined ? name : `${known.words} (${name})`
}

/** The system's code of what `fetch` met. */
function innerCodeOf(cause: unknown): string | null {
  const inner = cause instanceof Error ? cause.cause : null
  return inner instanceof Error && 'code' in inner && typeof inner.code === 'string' ? inner.code : null
}

/** Reads an error body of OpenAI's shape; anything else becomes its own message. */
export async function errorOf(reply: Response): Promise<ApiError> {
  const text = await reply.text().catch(() => '')
  const requestId = reply.headers.get('x-request-id')
  const error = errorObjectOf(text)
  return new ApiError({
    status: reply.status,
    code: stringOrNull(error?.code),
    param: stringOrNull(error?.param),
    message: stringOrNull(error?.message) ?? plainMessage(reply, text),
    requestId,
    url: reply.url,
  })
}

/** Guess: enough of an error page to know it. */
const PLAIN_CHARACTERS_MAX = 200

function plainMessage(reply: Response, text: string): string {
  const isHtml = text.trimStart().startsWith('<')
  const shown = isHtml
    ? 'an HTML page: is this the address of an API?'
    : text.trim().slice(0, PLAIN_CHARACTERS_MAX)
  return shown === '' ? `status ${reply.status}` : `status ${reply.status}: ${shown}`
}

function errorObjectOf(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null || !('error' in parsed)) return null
    const { error } = parsed
    // A JSON object has string keys only.
    return typeof error === 'object' && error !== null
      ? (error as Record<string, unknown>)
      : { message: error }
  } catch {
    // Not JSON: the caller shows it as text.
    return null
  }
}

function stringOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}
