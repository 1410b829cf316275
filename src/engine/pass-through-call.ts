/**
 * One call whose answer goes on to a reader as it comes: byte for byte, no faster than the reader takes it, and cut when the reader
 * goes away. Only the bytes of a success are handed on; any other answer is small, and is kept until it is whole.
 */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { PASS_THROUGH_BUFFER_BYTES } from '../domain/limits.ts'
import type { CallFailure } from '../domain/retry.ts'
import {
  Call,
  type CallAnswer,
  type CallEnd,
  type CallOptions,
  type OutgoingCall,
} from './upstream-connection.ts'

export type AnswerHead = {
  status: number
  headers: CallAnswer['headers']
  /** The bytes of a success; null when the answer comes whole with the end of the call. */
  body: Readable | null
}

type Reader = {
  onHead: (head: AnswerHead) => void
  /** Before the call's end is told, with what went wrong on the way, or null. */
  onEnding: (failure: CallFailure | null) => void
}

export class PassThroughCall implements OutgoingCall, Dispatcher.DispatchHandler {
  /** Knows phases and failures; of a success it sees no bytes. */
  readonly #call: Call
  readonly #reader: Reader
  readonly #options: CallOptions
  #body: Readable | null = null
  #isHeld = false

  constructor(options: CallOptions, onEnd: (end: CallEnd) => void, reader: Reader) {
    this.#options = options
    this.#reader = reader
    this.#call = new Call(options, (end) => {
      reader.onEnding('failure' in end ? end.failure : null)
      onEnd(this.#body !== null && 'answer' in end ? { answer: { ...end.answer, isHandedOn: true } } : end)
    })
  }

  /** An engine is not silent while its reader is slow. */
  get lastByteAt(): number {
    return this.#isHeld ? this.#options.monotonicMs() : this.#call.lastByteAt
  }

  cut(failure: 'cut' | 'stall', message: string): void {
    this.#call.cut(failure, message)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#call.onRequestStart(controller)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: CallAnswer['headers'],
  ): void {
    this.#call.onResponseStart(controller, status, headers)
    if (status < 200) return
    if (status < 300 && !isPage(headers)) this.#body = this.#openBody(controller)
    this.#reader.onHead({ status, headers, body: this.#body })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#body === null) return this.#call.onResponseData(controller, chunk)
    this.#call.lastByteAt = this.#options.monotonicMs()
    if (this.#body.push(chunk)) return
    this.#isHeld = true
    controller.pause()
  }

  onResponseEnd(): void {
    this.#body?.push(null)
    this.#call.onResponseEnd()
  }

  onResponseError(controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#call.onResponseError(controller, error)
    // What was sent of it must not pass for the whole.
    this.#body?.destroy(error)
  }

  #openBody(controller: Dispatcher.DispatchController): Readable {
    const body = new Readable({
      highWaterMark: PASS_THROUGH_BUFFER_BYTES,
      read: () => {
        if (!this.#isHeld) return
        this.#isHeld = false
        this.#call.lastByteAt = this.#options.monotonicMs()
        controller.resume()
      },
      destroy: (error, done) => {
        this.#call.cut('cut', 'the caller hung up')
        done(error)
      },
    })
    // It may break before its reader listens, who then finds it broken; an error that nobody hears would end the process.
    body.on('error', () => undefined)
    return body
  }
}

/** Whatever its status says, a web page is no answer of an engine. */
function isPage(headers: CallAnswer['headers']): boolean {
  return String(headers['content-type'] ?? '').startsWith('text/html')
}
