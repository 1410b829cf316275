/**
 * The simulated model: an OpenAI-compatible HTTP server on the loopback address that behaves like an engine without being one.
 * An upstream like any other: it is reached over HTTP only, and only by names that begin with `sim/`.
 *
 * State: places and queues per model name, and how often a failing request was sent. All of it in memory; a restart forgets it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Clock, createSystemClock } from '../lib/clock.ts'
import { messageOf, RefusedError } from '../lib/errors.ts'
import { type Answer, SIMULATED_FINGERPRINT } from './answer-shape.ts'
import { answer, answeredPaths, promptOf } from './answers.ts'
import { createAttempts } from './attempts.ts'
import { createGate, type Gate } from './gate.ts'
import { type KnobOverrides, type Knobs, knobsOf, simulatedModels } from './knobs.ts'
import { createPacer, type Pacer } from './pacer.ts'
import { type Plan, planRequest, requestHash } from './plan.ts'
import {
  BODY_BYTES_MAX,
  parseObject,
  readBody,
  refuse,
  refuseContent,
  refuseModel,
  send,
  tooMany,
} from './replies.ts'

export type SimulatedModelOptions = {
  /** 0 or absent: a free port. */
  port?: number
  seed?: number
  /** Applies to every model, between the model's defaults and the suffix of one request. */
  knobs?: KnobOverrides
  /** Further names to list, each a simulated model with a suffix, for example `sim/chat?tps=20`. */
  models?: readonly string[]
  clock?: Clock
  /** Told of every inference request as it came in, before anything is decided. */
  onCall?: (call: { path: string; headers: IncomingMessage['headers']; body: Buffer }) => void
}

export type SimulatedModel = {
  /** Base URL, ends in `/v1`. */
  url: string
  stop(): Promise<void>
}

/** Guess: more model names than this in use at once come from a mistake; idle ones are dropped. */
const GATES_MAX = 1_000

/**
 * @returns once it listens. It holds no file and ends with `stop()`, which cuts what is still being answered.
 * @throws RefusedError `invalid_knob` for knobs or further models that cannot be.
 */
export async function startSimulatedModel(options: SimulatedModelOptions = {}): Promise<SimulatedModel> {
  const model = new Model(options)
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    void model.handle(request, response)
  })
  await listen(server, options.port ?? 0)
  // A listening TCP server has an address with a port.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    stop: () =>
      new Promise((resolve) => {
        model.stop()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

class Model {
  readonly #clock: Clock
  readonly #pacer: Pacer
  readonly #seed: number
  readonly #overrides: KnobOverrides
  readonly #listed: readonly string[]
  readonly #onCall: SimulatedModelOptions['onCall']
  readonly #attempts = createAttempts()
  readonly #gates = new Map<string, Gate>()
  readonly #startedSeconds: number
  #requests = 0

  constructor(options: SimulatedModelOptions) {
    this.#clock = options.clock ?? createSystemClock()
    this.#pacer = createPacer(this.#clock)
    this.#seed = options.seed ?? 1
    this.#overrides = options.knobs ?? {}
    this.#onCall = options.onCall
    this.#startedSeconds = Math.floor(this.#clock.now() / 1000)
    this.#listed = [...simulatedModels, ...(options.models ?? [])]
    for (const name of this.#listed) {
      if (knobsOf(name, this.#overrides) === null)
        throw new RefusedError('invalid_knob', `'${name}' is no simulated model`)
    }
  }

  stop(): void {
    this.#pacer.stop()
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#requests += 1
    response.setHeader('x-dw-simulated', 'true')
    response.setHeader('x-request-id', `req_sim_${this.#requests}`)
    const path = new URL(request.url ?? '/', 'http://sim').pathname.replace(/^\/v1(?=\/|$)/, '')
    try {
      if (request.method === 'GET' && path.startsWith('/models')) return this.#sendModels(path, response)
      if (request.method !== 'POST' || !answeredPaths.has(path)) {
        return refuse(response, 404, {
          code: 'unknown_url',
          message: `Unknown request URL: ${request.method} ${path}`,
        })
      }
      const body = await readBody(request)
      if (body === null) {
        return refuse(response, 413, {
          code: 'request_too_large',
          message: `body exceeds ${BODY_BYTES_MAX} bytes`,
        })
      }
      this.#onCall?.({ path, headers: request.headers, body })
      this.#infer({ path, body, key: String(request.headers['idempotency-key'] ?? '') }, response)
    } catch (thrown) {
      if (thrown instanceof RefusedError) {
        return refuse(response, thrown.status, { code: thrown.code, message: thrown.message })
      }
      // Either the caller hung up, and there is nobody to answer, or the fault is here.
      if (request.complete) refuse(response, 500, { type: 'server_error', message: messageOf(thrown) })
      else response.destroy()
    }
  }

  #sendModels(path: string, response: ServerResponse): void {
    const describe = (id: string) => ({
      id,
      object: 'model',
      created: this.#startedSeconds,
      owned_by: SIMULATED_FINGERPRINT,
    })
    if (path === '/models') return send(response, 200, { object: 'list', data: this.#listed.map(describe) })
    const id = decodeURIComponent(path.slice('/models/'.length))
    if (knobsOf(id, this.#overrides) === null) return refuseModel(response, id)
    send(response, 200, describe(id))
  }

  #infer(call: { path: string; body: Buffer; key: string }, response: ServerResponse): void {
    const body = parseObject(call.body)
    if (body === null) return refuse(response, 400, { message: 'The body is not a JSON object.' })
    const model = body.model
    if (typeof model !== 'string') {
      return refuse(response, 400, { param: 'model', message: "Missing required parameter: 'model'." })
    }
    const knobs = knobsOf(model, this.#overrides)
    if (knobs === null) return refuseModel(response, model)
    const prompt = promptOf(call.path, body)
    if ('message' in prompt) return refuse(response, 400, prompt)

    const hash = requestHash({ seed: this.#seed, path: call.path, body: call.body })
    const id = hash.toString('hex', 8, 20)
    const gate = this.#gateOf(model)
    const limits = { places: knobs.concurrencyMax, queue: knobs.queueMax }
    const giveUp = gate.enter(limits, () => {
      response.once('close', () => gate.leave())
      const plan = planRequest(hash, knobs, prompt.text)
      if (this.#isFailing(plan, { id, key: call.key })) return this.#fail(plan, knobs, { id, response })
      const ask = { path: call.path, model, body, id, created: Math.floor(this.#clock.now() / 1000) }
      this.#reply(answer(ask, prompt.text, plan.random), { plan, isStream: body.stream === true, response })
    })
    if (giveUp === false) return tooMany(response, knobs)
    response.once('close', giveUp)
  }

  #isFailing(plan: Plan, request: { id: string; key: string }): boolean {
    if (plan.error === null) return false
    const counted = plan.errorCountedBy === 'key' ? `${request.id} ${request.key}` : request.id
    return this.#attempts.note(counted) < plan.errorAttempts
  }

  #fail(plan: Plan, knobs: Knobs, call: { id: string; response: ServerResponse }): void {
    const { response } = call
    this.#pacer.after(response, plan.ttftMs, () => {
      switch (plan.error) {
        case 'rate_limit':
          return tooMany(response, knobs)
        case 'server_error':
          return refuse(response, 500, {
            type: 'server_error',
            code: 'internal_error',
            message: `The simulated model failed on purpose (request ${call.id}).`,
          })
        case 'invalid_json':
          response.writeHead(200, { 'content-type': 'application/json' })
          return void response.end(`{"id":"chatcmpl-${call.id}","object":"chat.compl`)
        case 'stall':
        case null:
          // It answers nothing at all; the caller gives up, or stop() cuts it.
          return
        case 'content_filter':
        case 'content_filter_once':
          return refuseContent(response, { mayPass: plan.error === 'content_filter_once' })
      }
    })
  }

  #reply(made: Answer, how: { plan: Plan; isStream: boolean; response: ServerResponse }): void {
    const { plan, response } = how
    if (how.isStream && made.events !== null) return stream(this.#pacer, made.events, { plan, response })
    this.#pacer.after(response, plan.ttftMs + made.tokens * plan.tokenMs, () =>
      send(response, 200, made.body),
    )
  }

  #gateOf(model: string): Gate {
    let gate = this.#gates.get(model)
    if (gate === undefined) {
      if (this.#gates.size >= GATES_MAX) {
        for (const [name, old] of this.#gates) if (old.isIdle()) this.#gates.delete(name)
      }
      gate = createGate()
      this.#gates.set(model, gate)
    }
    return gate
  }
}

/** Sends the events at the pace of the tokens. */
function stream(
  pacer: Pacer,
  events: NonNullable<Answer['events']>,
  how: { plan: Plan; response: ServerResponse },
): void {
  const { plan, response } = how
  const write = ({ event, data }: (typeof events.first)[number]): void => {
    const name = event === null ? '' : `event: ${event}\n`
    response.write(`${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`)
  }
  pacer.after(response, plan.ttftMs, () => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    events.first.forEach(write)
    pacer.each(response, { items: events.perToken, everyMs: plan.tokenMs }, write, () => {
      events.last.forEach(write)
      response.end()
    })
  })
}
