/**
 * An engine that costs almost nothing: a bare TCP responder for HTTP/1.1 with keep-alive that answers every POST with the same
 * prebuilt bytes as soon as its body is complete. Runs as a process of its own and talks to its parent over the process channel.
 *
 * It understands what a well-behaved client sends (`content-length`, no chunked bodies) and is no server for anything else.
 */

import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'

export const BENCH_MODEL = 'bench'

const answer = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: BENCH_MODEL,
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'The answer is the same for everyone. '.repeat(6),
        refusal: null,
      },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 250, completion_tokens: 50, total_tokens: 300 },
})
const models = JSON.stringify({
  object: 'list',
  data: [{ id: BENCH_MODEL, object: 'model', created: 1, owned_by: 'bench' }],
})

function replyBytes(body: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
  return Buffer.from(`${head}connection: keep-alive\r\n\r\n${body}`)
}

const answerReply = replyBytes(answer)
const modelsReply = replyBytes(models)
const HEAD_END = Buffer.from('\r\n\r\n')
const LENGTH_NAME = Buffer.from('ontent-length: ')
const LETTER_G = 'G'.charCodeAt(0)
const DIGIT_ZERO = '0'.charCodeAt(0)

let answered = 0

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
    else {
      answered += 1
      socket.write(answerReply)
    }
    start = end
  }
  return start
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

/** What the process tells its parent. */
export type UpstreamMessage = { port: number } | { answered: number }

if (import.meta.main) {
  const server = createServer(serve)
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    process.send?.({ port } satisfies UpstreamMessage)
  })
  process.on('message', () => process.send?.({ answered } satisfies UpstreamMessage))
  process.on('disconnect', () => process.exit(0))
}
