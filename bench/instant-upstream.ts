/**
 * An engine that costs almost nothing: a bare TCP responder for HTTP/1.1 with keep-alive that answers every POST with the same
 * prebuilt bytes as soon as its body is complete, or as its parent wishes: later, larger, slower. Runs as a process of its own and
 * talks to its parent over the process channel.
 *
 * It understands what a well-behaved client sends (`content-length`, no chunked bodies) and is no server for anything else.
 */

import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { percentile } from './figures.ts'
import { instantly, type Pace, PacedAnswers } from './upstream-pace.ts'

export const BENCH_MODEL = 'bench'
/** Of the answer's text unless told otherwise: answers have about 500 bytes then. */
const TEXT_BYTES = 222

function answerBody(textBytes: number): string {
  const text = 'The answer is the same for everyone. '
  return JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: BENCH_MODEL,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text.repeat(Math.ceil(textBytes / text.length)).slice(0, textBytes),
          refusal: null,
        },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 250, completion_tokens: 50, total_tokens: 300 },
  })
}

const models = JSON.stringify({
  object: 'list',
  data: [{ id: BENCH_MODEL, object: 'model', created: 1, owned_by: 'bench' }],
})

function replyBytes(body: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
  return Buffer.from(`${head}connection: keep-alive\r\n\r\n${body}`)
}

let answerReply = replyBytes(answerBody(TEXT_BYTES))
const modelsReply = replyBytes(models)
const HEAD_END = Buffer.from('\r\n\r\n')
const LENGTH_NAME = Buffer.from('ontent-length: ')
const LETTER_G = 'G'.charCodeAt(0)
const DIGIT_ZERO = '0'.charCodeAt(0)

let arrived = 0
let answered = 0
let firstCallAt: number | null = null
const paced = new PacedAnswers(() => answered)

function serve(socket: Socket): void {
  let rest: Buffer | null = null
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    const bytes: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk])
    const used = answerAll(socket, bytes)
    rest = used === bytes.byteLength ? null : bytes.subarray(used)
  })
}

/** Answers each whole request at the front. @returns bytes that those requests took */
function answerAll(socket: Socket, bytes: Buffer): number {
  let start = 0
  while (start < bytes.byteLength) {
    const headEnd = bytes.indexOf(HEAD_END, start)
    if (headEnd < 0) return start
    const end = headEnd + HEAD_END.byteLength + bodyLength(bytes, start, headEnd)
    if (end > bytes.byteLength) return start
    if (bytes[start] === LETTER_G) socket.write(modelsReply)
    else answer(socket)
    start = end
  }
  return start
}

function answer(socket: Socket): void {
  arrived += 1
  firstCallAt ??= Date.now()
  const give = (): void => {
    answered += 1
    if (!socket.destroyed) socket.write(answerReply)
  }
  if (paced.isPaced) paced.take(give)
  else give()
}

function bodyLength(bytes: Buffer, headStart: number, headEnd: number): number {
  const found = bytes.indexOf(LENGTH_NAME, headStart)
  if (found < 0 || found > headEnd) return 0
  let length = 0
  for (let at = found + LENGTH_NAME.byteLength; at < headEnd; at += 1) {
    const digit = (bytes[at] ?? 0) - DIGIT_ZERO
    if (digit < 0 || digit > 9) break
    length = length * 10 + digit
  }
  return length
}

/** What the parent asks for. Each is answered by one `UpstreamReport`, given after it was done. */
export type UpstreamOrder =
  | { order: 'report' }
  /** Forgets the first call and the refills so far. */
  | { order: 'mark' }
  | { order: 'set'; pace: Partial<Pace>; textBytes: number | null }

export type UpstreamReport = {
  /** POST requests. */
  arrived: number
  answered: number
  /** Epoch ms of the first POST request since the last `mark`. */
  firstCallAt: number | null
  /** Since the last `mark`, while paced: from an answer to the next request. NaN without any. */
  refillP50Ms: number
  refillP99Ms: number
}

function obey(order: UpstreamOrder): void {
  if (order.order === 'mark') {
    firstCallAt = null
    paced.forgetRefills()
  }
  if (order.order === 'set') {
    answerReply = replyBytes(answerBody(order.textBytes ?? TEXT_BYTES))
    paced.set({ ...instantly, ...order.pace })
  }
}

if (import.meta.main) {
  const server = createServer(serve)
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    process.send?.({ port })
  })
  process.on('message', (order: UpstreamOrder) => {
    obey(order)
    const refills = paced.refillMs
    process.send?.({
      arrived,
      answered,
      firstCallAt,
      refillP50Ms: percentile(refills, 0.5),
      refillP99Ms: percentile(refills, 0.99),
    } satisfies UpstreamReport)
  })
  process.on('disconnect', () => process.exit(0))
}
