/** Whatever was thrown, as the wire has it. Internals stay here; the request id leads to them in the log. */
import { presentError } from '../contract/present.ts'
import type { WireErrorBody } from '../contract/wire.ts'
import { UpstreamError } from '../engine/pass-through.ts'
import { messageOf, RefusedError, systemCodeOf, TroubleError } from '../lib/errors.ts'

export type ErrorReply = {
  status: number
  headers: Record<string, string>
  body: WireErrorBody
  isOurs: boolean
}

/** SDKs obey 1 to 60 s everywhere. */
const RETRY_AFTER_SECONDS = '5'

/** Codes that OpenAI leaves out on the wire; here they only tell our own code apart. */
const UNNAMED_CODES: ReadonlySet<string> = new Set([
  'invalid_file_format',
  'invalid_form',
  'invalid_purpose',
  'missing_api_key',
  'not_found',
  'batch_ended',
  'file_too_large',
])

/** The framework's own limit. */
const BODY_TOO_LARGE = 'FST_ERR_CTP_BODY_TOO_LARGE'

export function errorReply(thrown: unknown): ErrorReply {
  if (thrown instanceof RefusedError) return refused(thrown)
  if (thrown instanceof TroubleError) return troubled(thrown)
  if (thrown instanceof UpstreamError) return unanswered(thrown)
  const name = systemCodeOf(thrown) ?? messageOf(thrown)
  if (name === BODY_TOO_LARGE) {
    const message = 'The body of this request is too large. Upload requests as a file instead.'
    return refused(new RefusedError('body_too_large', message))
  }
  if (name.startsWith('FST_') && statusOf(thrown) < 500)
    return refused(new RefusedError('invalid_request', 'We could not parse your request.'))
  return {
    status: 500,
    headers: {},
    body: presentError({
      message: 'The server had an error while processing your request.',
      type: 'server_error',
      param: null,
      code: null,
    }),
    isOurs: true,
  }
}

function refused(error: RefusedError): ErrorReply {
  const headers: Record<string, string> = {}
  // SDKs retry a 409 by themselves; here it never helps.
  if (error.status === 409) headers['x-should-retry'] = 'false'
  if (error.status === 429) headers['retry-after'] = RETRY_AFTER_SECONDS
  if (error.status === 401) headers['www-authenticate'] = 'Bearer realm="dw"'
  const code = UNNAMED_CODES.has(error.code) ? null : error.code
  const type = error.status === 429 ? 'requests' : 'invalid_request_error'
  return {
    status: error.status,
    headers,
    body: presentError({ message: error.message, type, param: error.param, code }),
    isOurs: false,
  }
}

function troubled(error: TroubleError): ErrorReply {
  const isFull = error.code === 'disk_full'
  const message = isFull
    ? 'The server has too little disk space to take this. Nothing of it was kept; try again when its owner has made room.'
    : error.code === 'stopped'
      ? 'The server is stopping. Try again when it is back.'
      : 'The server cannot do this at the moment. Try again shortly.'
  return {
    status: isFull ? 507 : 503,
    headers: { 'retry-after': RETRY_AFTER_SECONDS, ...(isFull ? { 'x-should-retry': 'false' } : {}) },
    body: presentError({
      message,
      type: 'server_error',
      param: null,
      code: isFull ? 'insufficient_storage' : 'service_unavailable',
    }),
    isOurs: true,
  }
}

/** The fault is an upstream's, or of the way to it: the server itself is well. */
function unanswered(error: UpstreamError): ErrorReply {
  return {
    status: error.status,
    headers: { 'retry-after': RETRY_AFTER_SECONDS },
    body: presentError({ message: error.message, type: 'server_error', param: null, code: error.code }),
    isOurs: false,
  }
}

function statusOf(thrown: unknown): number {
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown)) return 500
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : 500
}

export function unknownFile(id: string): RefusedError {
  return new RefusedError('not_found', `No such File object: ${id}`, { status: 404, param: 'id' })
}

export function unknownBatch(id: string): RefusedError {
  return new RefusedError('not_found', `No batch found with id '${id}'.`, { status: 404 })
}
