/** What a call can end in besides its answer. */

/** The server answered with an error. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string | null
  readonly param: string | null
  readonly requestId: string | null

  constructor(facts: {
    status: number
    code: string | null
    param: string | null
    message: string
    requestId: string | null
  }) {
    super(facts.message)
    this.name = 'ApiError'
    this.status = facts.status
    this.code = facts.code
    this.param = facts.param
    this.requestId = facts.requestId
  }
}

/** No answer came, also after retries. */
export class UnreachableError extends Error {
  readonly baseUrl: string

  constructor(baseUrl: string, cause: unknown) {
    super(`cannot reach ${baseUrl}: ${reasonOf(cause)}`, { cause })
    this.name = 'UnreachableError'
    this.baseUrl = baseUrl
  }
}

/** Whether the same call may succeed later: no connection, a cut body, 408, 429, 5xx. */
export function isPassing(thrown: unknown): boolean {
  if (thrown instanceof ApiError)
    return thrown.status === 408 || thrown.status === 429 || thrown.status >= 500
  if (thrown instanceof UnreachableError) return true
  // What `fetch` throws when a connection breaks, before or while the body is read.
  return thrown instanceof TypeError
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause
  if (inner instanceof Error)
    return 'code' in inner && typeof inner.code === 'string' ? inner.code : inner.message
  return cause.message
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
