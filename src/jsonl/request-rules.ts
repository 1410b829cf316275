/**
 * What a request line must be, apart from JSON: pure rules over its parsed value. Codes and wording are those of OpenAI's batch
 * validation where they are recorded (docs/decisions), else in its style.
 */
import { ENDPOINTS, type Endpoint, isEndpoint } from '../domain/batch.ts'
import { CUSTOM_ID_BYTES_MAX, MODEL_BYTES_MAX } from '../domain/limits.ts'
import { isObject, type JsonObject } from './prompt-bytes.ts'

export type Report = (code: string, param: string | null, message: string) => void

/** What the rules let through of a line; null where a part is absent or wrong. */
export type RequestFacts = {
  customId: string | null
  url: Endpoint | null
  body: JsonObject | null
  model: string | null
}

/** @param known url of the lines before this one, null when there is none; model that replaces the line's own, null when none does */
export function checkRequest(
  request: JsonObject,
  known: { url: Endpoint | null; model: string | null },
  report: Report,
): RequestFacts {
  const customId = checkCustomId(request.custom_id, report)
  checkMethod(request.method, report)
  const url = checkUrl(request.url, known.url, report)
  const body = request.body
  if (body === undefined) {
    reportMissing('body', report)
    return { customId, url, body: null, model: null }
  }
  if (!isObject(body)) {
    reportType('body', 'an object', body, report)
    return { customId, url, body: null, model: null }
  }
  const model = known.model ?? checkModel(body.model, report)
  if (url !== null) checkPrompt(url, body, report)
  if (body.stream === true) {
    const name = url === null ? '' : `${endpointNames[url]}: `
    report('streaming_unsupported', 'body.stream', `${name}Streaming is not supported in the Batch API.`)
  }
  return { customId, url, body, model }
}

const endpointNames = {
  '/v1/chat/completions': 'Chat Completions',
  '/v1/completions': 'Completions',
  '/v1/embeddings': 'Embeddings',
  '/v1/responses': 'Responses',
  '/v1/moderations': 'Moderations',
} as const satisfies Record<Endpoint, string>

function checkCustomId(value: unknown, report: Report): string | null {
  if (typeof value === 'string') {
    if (value === '') {
      report(
        'empty_string',
        'custom_id',
        "Invalid 'custom_id': empty string. Expected a string with minimum length 1, but got an empty string instead.",
      )
      return null
    }
    return isWithin(value, CUSTOM_ID_BYTES_MAX, 'custom_id', report) ? value : null
  }
  if (value === undefined) reportMissing('custom_id', report)
  else reportType('custom_id', 'a string', value, report)
  return null
}

function checkMethod(value: unknown, report: Report): void {
  if (value === 'POST') return
  if (value === undefined) return reportMissing('method', report)
  if (typeof value !== 'string') return reportType('method', 'a string', value, report)
  report('invalid_value', 'method', `Invalid value: ${quote(value)}. Supported values are: 'POST'.`)
}

function checkUrl(value: unknown, expectedUrl: Endpoint | null, report: Report): Endpoint | null {
  // The common case first: the same url as in every line before.
  if (value === expectedUrl && expectedUrl !== null) return expectedUrl
  if (value === undefined) {
    reportMissing('url', report)
    return null
  }
  if (typeof value !== 'string') {
    reportType('url', 'a string', value, report)
    return null
  }
  if (!isEndpoint(value)) {
    const supported = ENDPOINTS.map((endpoint) => `'${endpoint}'`).join(', ')
    report('invalid_url', 'url', `Invalid value: ${quote(value)}. Supported values are: ${supported}.`)
    return null
  }
  if (expectedUrl !== null) {
    report('invalid_url', 'url', 'The URL provided for this request does not match the batch endpoint.')
  }
  return value
}

function checkModel(value: unknown, report: Report): string | null {
  if (typeof value === 'string' && value !== '') {
    return isWithin(value, MODEL_BYTES_MAX, 'body.model', report) ? value : null
  }
  if (value === undefined || value === null || value === '') {
    report('invalid_request', 'body.model', 'Model parameter is required.')
  } else {
    reportType('body.model', 'a string', value, report)
  }
  return null
}

function checkPrompt(url: Endpoint, body: JsonObject, report: Report): void {
  switch (url) {
    case '/v1/chat/completions': {
      const { messages } = body
      if (messages === undefined || messages === null) return reportRequired('messages', report)
      if (!Array.isArray(messages)) return reportType('body.messages', 'an array', messages, report)
      if (messages.length === 0) reportEmpty('body.messages', report)
      return
    }
    case '/v1/responses':
      // A stored prompt or an earlier response can take the place of an input.
      if (isObject(body.prompt) || typeof body.previous_response_id === 'string') return
      return checkText('input', body.input, report)
    case '/v1/completions':
      return checkText('prompt', body.prompt, report)
    default:
      return checkText('input', body.input, report)
  }
}

function checkText(name: 'input' | 'prompt', value: unknown, report: Report): void {
  if (typeof value === 'string') return
  if (value === undefined || value === null) return reportRequired(name, report)
  if (!Array.isArray(value)) return reportType(`body.${name}`, 'a string or an array', value, report)
  if (value.length === 0) reportEmpty(`body.${name}`, report)
}

function isWithin(value: string, bytesMax: number, param: string, report: Report): boolean {
  // A UTF-16 unit takes at most three bytes.
  if (value.length * 3 <= bytesMax) return true
  const bytes = Buffer.byteLength(value)
  if (bytes <= bytesMax) return true
  const expected = `Expected a string of at most ${bytesMax} bytes, but got ${bytes} bytes instead.`
  report('string_above_max_length', param, `Invalid '${param}': string too long. ${expected}`)
  return false
}

function reportMissing(name: string, report: Report): void {
  report('missing_required_parameter', name, `Missing required parameter: '${name}'.`)
}

function reportRequired(name: 'messages' | 'input' | 'prompt', report: Report): void {
  const title = name.charAt(0).toUpperCase() + name.slice(1)
  report('invalid_request', `body.${name}`, `${title} parameter is required.`)
}

function reportType(param: string, expected: string, value: unknown, report: Report): void {
  report(
    'invalid_type',
    param,
    `Invalid type for '${param}': expected ${expected}, but got ${nameType(value)} instead.`,
  )
}

function reportEmpty(param: string, report: Report): void {
  const expected = 'Expected an array with minimum length 1, but got an empty array instead.'
  report('empty_array', param, `Invalid '${param}': empty array. ${expected}`)
}

function nameType(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal'
  if (typeof value === 'object') return 'an object'
  return `a ${typeof value}`
}

/** Guess: enough to recognise a value, short enough to keep a hundred thousand messages. */
const QUOTED_CHARACTERS_MAX = 64

/** A value as it may stand in a message. */
export function quote(value: string): string {
  return value.length <= QUOTED_CHARACTERS_MAX ? `'${value}'` : `'${value.slice(0, QUOTED_CHARACTERS_MAX)}…'`
}
