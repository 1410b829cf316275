/**
 * The only outgoing network calls of the engine: keep-alive HTTP/1.1 connections to one origin, one call on each at a time.
 * A connection is taken from the top of a stack, so that the warm ones stay in use and finding a free one costs nothing.
 * Timeouts are the caller's: it looks at `lastByteAt` of all its calls with one timer instead of a timer each.
 */
import { Client, type Dispatcher } from 'undici'
import type { CallFailure } from '../domain/retry.ts'
import { messageOf, systemCodeOf } from '../lib/errors.ts'

export type CallHeaders = Record<string, string>

export type CallAnswer = {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
  /** Monotonic ms at the first byte of the answer. */
  firstByteAt: number
  /** A success whose bytes went on as they came: `body` holds none of them. */
  isHandedOn?: boolean
}

export type CallEnd = { answer: CallAnswer } | { failure: CallFailure; message: string }

export type OutgoingCall = {
  /** Monotonic ms of the last sign of life: start, or a byte from the other side. */
  readonly lastByteAt: number
  /** Ends the call with this failure; `onEnd` follows. */
  cut(failure: 'cut' | 'stall', message: string): void
}

export type CallOptions = { answerBytesMax: number; monotonicMs: () => number }

/** Makes what follows one call: `Call`, or one that hands the answer on as it comes. */
export type MakeCall = (
  options: CallOptions,
  onEnd: (end: CallEnd) => void,
) => OutgoingCall & Dispatcher.DispatchHandler

export type Connections = {
  call(
    request: { method: 'GET' | 'POST'; path: string; headers: CallHeaders; body: Uint8Array | null },
    onEnd: (end: CallEnd) => void,
    makeCall?: MakeCall,
  ): OutgoingCall
  close(): Promise<void>
}

/** Guess: an idle connection is closed before common servers (5 s and up) close theirs. */
const IDLE_MS_MAX = 4_000

export function openConnections(
  origin: string,
  options: { connectMsMax: number; answerBytesMax: number; monotonicMs: () => number },
): Connections {
  const idle: Client[] = []
  const all = new Set<Client>()

  const take = (): Client => {
    const warm = idle.pop()
    if (warm !== undefined) return warm
    const client = new Client(origin, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS_MAX,
      connect: { timeout: options.connectMsMax },
    })
    all.add(client)
    return client
  }

  return {
    call(request, onEnd, makeCall = gatherAnswer) {
      const client = take()
      const call = makeCall(options, (end) => {
        idle.push(client)
        onEnd(end)
      })
      client.dispatch(request, call)
      return call
    },
    async close() {
      await Promise.all(
        [...all].map((client) =>
          client.destroy().catch(() => {
            // A connection that fails while it is destroyed is destroyed.
          }),
        ),
      )
    },
  }
}

const gatherAnswer: MakeCall = (options, onEnd) => new Call(options, onEnd)

/** Keeps the answer until it is whole. */
export class Call implements OutgoingCall, Dispatcher.DispatchHandler {
  lastByteAt: number
  #controller: Dispatcher.DispatchController | null = null
  #cutFailure: { failure: CallFailure; message: string } | null = null
  #isSent = false
  #isEnded = false
  #status = 0
  #headers: CallAnswer['headers'] = {}
  #firstByteAt = 0
  #chunks: Buffer[] = []
  #bytes = 0
  readonly #options: CallOptions
  readonly #onEnd: (end: CallEnd) => void

  constructor(options: CallOptions, onEnd: (end: CallEnd) => void) {
    this.#options = options
    this.#onEnd = onEnd
    this.lastByteAt = options.monotonicMs()
  }

  cut(failure: 'cut' | 'stall', message: string): void {
    this.#abort(failure, message)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#isSent = true
    if (this.#cutFailure !== null) controller.abort(new Error(this.#cutFailure.message))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: CallAnswer['headers'],
  ): void {
    // An interim 1xx answer is followed by the real one.
    if (status < 200) return
    this.#status = status
    this.#headers = headers
    this.#firstByteAt = this.lastByteAt = this.#options.monotonicMs()
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.lastByteAt = this.#options.monotonicMs()
    this.#bytes += chunk.byteLength
    if (this.#bytes > this.#options.answerBytesMax) {
      return this.#abort('answer_too_large', `answer exceeds ${this.#options.answerBytesMax} bytes`)
    }
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    const [first] = this.#chunks
    const body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
    this.#end({
      answer: { status: this.#status, headers: this.#headers, body, firstByteAt: this.#firstByteAt },
    })
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#cutFailure !== null) return this.#end(this.#cutFailure)
    const failure = this.#isSent ? 'reset' : 'connect'
    const code = systemCodeOf(error.cause) ?? systemCodeOf(error)
    const message = messageOf(error)
    this.#end({ failure, message: code === null || message.includes(code) ? message : `${code}: ${message}` })
  }

  #abort(failure: CallFailure, message: string): void {
    if (this.#isEnded || this.#cutFailure !== null) return
    this.#cutFailure = { failure, message }
    this.#controller?.abort(new Error(message))
  }

  #end(end: CallEnd): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#chunks = []
    this.#onEnd(end)
  }
}
