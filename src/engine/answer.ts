/** Looks at an engine's answer once: is it a JSON object, what does it say of its usage, which error does it carry. */
import { isUtf8 } from 'node:buffer'
import type { Usage } from '../results/record.ts'
import type { CallAnswer } from './upstream-connection.ts'

export type InspectedAnswer = {
  status: number
  body: Buffer
  isJsonObject: boolean
  errorCodes: readonly string[]
  errorMessage: string | null
  usage: Usage | null
  /** The engine's own id of the call, or null. */
  requestId: string | null
  retryAfter: string | undefined
  retryAfterMs: string | undefined
}

const NO_CODES: readonly string[] = []

/** @param key that of the call: engines have been seen to repeat it in an error, and answers are read by tenants. */
export function inspectAnswer(answer: CallAnswer, key: string | null = null): InspectedAnswer {
  const isSuccess = answer.status >= 200 && answer.status < 300
  // A success is the model's words, of which no byte is ours to change.
  const secret = isSuccess || key === null || key.length < SECRET_CHARACTERS_MIN ? null : key
  const body = secret === null ? answer.body : without(secret, answer.body)
  const object = parseObject(body)
  const error = isSuccess || object === null ? null : errorOf(object)
  return {
    status: answer.status,
    body,
    isJsonObject: object !== null || answer.isHandedOn === true,
    errorCodes: error?.codes ?? NO_CODES,
    errorMessage: error?.message ?? null,
    usage: object === null ? null : usageOf(object),
    requestId: requestIdOf(answer, secret),
    retryAfter: headerOf(answer, 'retry-after'),
    retryAfterMs: headerOf(answer, 'retry-after-ms'),
  }
}

/**
 * The body as it goes into a result line: line breaks between tokens removed, nothing else. Raw line breaks cannot stand
 * inside JSON strings, so in a body that parsed every one of them is between tokens.
 */
export function oneLine(body: Buffer): Buffer {
  if (body.indexOf(10) === -1 && body.indexOf(13) === -1) return body
  return body.filter((byte) => byte !== 10 && byte !== 13) as Buffer
}

/** Guess: keys of hosted engines are longer; shorter ones (`EMPTY`, `test`) are no secrets, but words that an error may well hold. */
const SECRET_CHARACTERS_MIN = 16
const MASK = Buffer.from('****')

/** As many bytes as are between the keys stay as they came. */
function without(key: string, body: Buffer): Buffer {
  if (!body.includes(key)) return body
  const parts: Buffer[] = []
  let from = 0
  for (let at = body.indexOf(key); at !== -1; at = body.indexOf(key, from)) {
    parts.push(body.subarray(from, at), MASK)
    from = at + Buffer.byteLength(key)
  }
  return Buffer.concat([...parts, body.subarray(from)])
}

function requestIdOf(answer: CallAnswer, key: string | null): string | null {
  const id = headerOf(answer, 'x-request-id')
  return id === undefined || (key !== null && id.includes(key)) ? null : id
}

type JsonObject = Record<string, unknown>

function parseObject(body: Buffer): JsonObject | null {
  if (body.byteLength < 2 || !isUtf8(body)) return null
  try {
    return objectOf(JSON.parse(body.toString('latin1')))
  } catch {
    // Not JSON: the caller judges what that means.
    return null
  }
}

function objectOf(value: unknown): JsonObject | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  // A JSON object has string keys only.
  return value as JsonObject
}

function errorOf(object: JsonObject): { codes: string[]; message: string | null } {
  const error = objectOf(object.error) ?? object
  const codes = [error.code, error.type].filter((code): code is string => typeof code === 'string')
  return {
    codes,
    message: typeof error.message === 'string' ? Buffer.from(error.message, 'latin1').toString('utf8') : null,
  }
}

/** Chat names (`prompt_tokens`) and Responses names (`input_tokens`); null when the answer states neither. */
function usageOf(object: JsonObject): Usage | null {
  const usage = objectOf(object.usage)
  if (usage === null) return null
  const prompt = countOf(usage.prompt_tokens ?? usage.input_tokens)
  if (prompt === null) return null
  const promptDetails = objectOf(usage.prompt_tokens_details ?? usage.input_tokens_details)
  const completionDetails = objectOf(usage.completion_tokens_details ?? usage.output_tokens_details)
  return {
    promptTokens: prompt,
    // No more can have come from a cache than was read; sums of sums would else cost something else than their parts.
    cachedTokens: Math.min(prompt, countOf(promptDetails?.cached_tokens) ?? 0),
    completionTokens: countOf(usage.completion_tokens ?? usage.output_tokens) ?? 0,
    reasoningTokens: countOf(completionDetails?.reasoning_tokens) ?? 0,
  }
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 4_294_967_296
    ? value
    : null
}

function headerOf(answer: CallAnswer, name: string): string | undefined {
  const value = answer.headers[name]
  return Array.isArray(value) ? value[0] : value
}
