/**
 * Realtime calls: the body goes to an upstream byte for byte, and its answer comes back the same way, as it comes.
 * Bodies in memory are bounded together; one whose caller hangs up is let go of at once.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Endpoint } from '../domain/batch.ts'
import { LINE_BYTES_MAX, MODEL_BYTES_MAX, REALTIME_BYTES_MAX } from '../domain/limits.ts'
import type { Service } from '../engine/service.ts'
import { RefusedError } from '../lib/errors.ts'

const ENDPOINTS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
] as const satisfies readonly Endpoint[]

export async function addInferenceRoutes(app: FastifyInstance, service: Service): Promise<void> {
  const bodies = createBodyShare()
  await app.register(async (scope) => {
    scope.addHook('preParsing', async (request, reply) => {
      reply.raw.once('close', () => bodies.release(request))
    })
    // In place of the parser that all other routes share: nothing may touch these bytes.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (request: FastifyRequest, body: IncomingMessage) =>
      bodies.read(request, body),
    )
    for (const endpoint of ENDPOINTS) {
      scope.post(endpoint, (request, reply) => pass({ service, endpoint }, request, reply))
    }
  })
}

async function pass(
  { service, endpoint }: { service: Service; endpoint: Endpoint },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const answer = await service.passThrough({
    endpoint,
    model: modelOf(body),
    body,
    requestId: request.id,
    signal: gone.signal,
  })
  return reply.code(answer.status).headers(answer.headers).send(answer.body)
}

/** The model that the body names; nothing else in it is looked at. @throws RefusedError */
function modelOf(body: Buffer): string {
  const parsed = parseObject(body)
  if (parsed === null) {
    throw new RefusedError(
      'invalid_json',
      'We could not parse the JSON body of your request. The body must be one JSON object.',
    )
  }
  const model = 'model' in parsed ? parsed.model : undefined
  if (model === undefined || model === null || model === '') {
    throw new RefusedError('missing_required_parameter', "Missing required parameter: 'model'.", {
      param: 'model',
    })
  }
  if (typeof model !== 'string' || Buffer.byteLength(model) > MODEL_BYTES_MAX) {
    const message = `Invalid 'model': expected a string of at most ${MODEL_BYTES_MAX} bytes.`
    throw new RefusedError('invalid_type', message, { param: 'model' })
  }
  return model
}

function parseObject(body: Buffer): object | null {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : null
  } catch {
    // Not JSON: told apart from an object by null.
    return null
  }
}

/** Reads bodies as they are, and knows how much of them is in memory. */
function createBodyShare() {
  const held = new WeakMap<FastifyRequest, number>()
  let heldBytes = 0
  return {
    /** @throws RefusedError `body_too_large` (413), `realtime_queue_full` (429) */
    async read(request: FastifyRequest, body: IncomingMessage): Promise<Buffer> {
      const chunks: Buffer[] = []
      let bytes = 0
      // A body that is refused is read away below, so that the refusal is not lost in a reset.
      for await (const chunk of body.iterator({ destroyOnReturn: false })) {
        bytes += chunk.byteLength
        heldBytes += chunk.byteLength
        held.set(request, bytes)
        if (bytes > LINE_BYTES_MAX) throw tooLarge()
        if (heldBytes > REALTIME_BYTES_MAX) throw tooMany()
        chunks.push(chunk)
      }
      return Buffer.concat(chunks)
    },
    release(request: FastifyRequest): void {
      heldBytes -= held.get(request) ?? 0
      held.delete(request)
    },
  }
}

function tooLarge(): RefusedError {
  const message = `The body of this request is too large: at most ${LINE_BYTES_MAX} bytes are possible.`
  return new RefusedError('body_too_large', message, { status: 413 })
}

function tooMany(): RefusedError {
  const message = `Realtime calls in work hold ${REALTIME_BYTES_MAX} bytes already, the most this server keeps. Try again shortly.`
  return new RefusedError('realtime_queue_full', message, { status: 429 })
}
