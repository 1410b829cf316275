/** Reading requests and writing replies of the simulated model, in the form of OpenAI's API. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isObject } from './filler.ts'
import { type Knobs, simulatedModels } from './knobs.ts'

/** Guess: no request body of a batch line is larger. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024

export function tooMany(response: ServerResponse, knobs: Knobs): void {
  response.setHeader('retry-after', String(Math.ceil(knobs.retryAfterMs / 1000)))
  response.setHeader('retry-after-ms', String(knobs.retryAfterMs))
  refuse(response, 429, {
    type: 'requests',
    code: 'rate_limit_exceeded',
    message: 'The simulated model is busy. Try again later.',
  })
}

export function refuseContent(response: ServerResponse, options: { mayPass: boolean }): void {
  const message = options.mayPass
    ? 'The answer was refused by the content filter of the simulated model; another attempt may pass.'
    : 'The prompt was refused by the content filter of the simulated model.'
  refuse(response, 400, { code: 'content_filter', param: options.mayPass ? 'messages' : 'prompt', message })
}

export function refuseModel(response: ServerResponse, model: string): void {
  refuse(response, 404, {
    code: 'model_not_found',
    message: `The model '${model}' does not exist here; this is the simulated model, which serves ${simulatedModels.join(', ')}.`,
  })
}

export function refuse(
  response: ServerResponse,
  status: number,
  error: { message: string; type?: string; code?: string; param?: string },
): void {
  const { message, type = 'invalid_request_error', param = null, code = null } = error
  send(response, status, { error: { message, type, param, code } })
}

export function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.byteLength })
  response.end(bytes)
}

export function parseObject(bytes: Buffer): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'))
    return isObject(parsed) ? parsed : null
  } catch {
    // Not JSON: told apart from an object by null.
    return null
  }
}

/** @returns null when it is too large. @throws when the caller hangs up */
export async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    // A request without an encoding yields buffers.
    const buffer = chunk as Buffer
    bytes += buffer.byteLength
    if (bytes > BODY_BYTES_MAX) return null
    chunks.push(buffer)
  }
  return Buffer.concat(chunks)
}
