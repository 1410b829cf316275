/** Moves large files over HTTP at the least cost of the client, so that what is measured is the other side. */
import { createReadStream, statSync } from 'node:fs'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Headers } from './batch-run.ts'

/** Guess: as much as is read from the disk at a time. */
const PIECE_BYTES = 1 << 20
const BOUNDARY = 'bench-7d3f0a51c2'

const agent = new Agent({ keepAlive: true })

/** Posts the file as a form, with the bytes of a real client. @returns the id of the new file, and how long it took */
export async function upload(
  url: string,
  path: string,
  headers: Headers = {},
): Promise<{ id: string; bytes: number; seconds: number }> {
  const part = (more: string): string => `--${BOUNDARY}\r\nContent-Disposition: form-data; ${more}\r\n`
  const front = Buffer.from(
    `${part('name="purpose"')}\r\nbatch\r\n${part('name="file"; filename="requests.jsonl"')}Content-Type: application/octet-stream\r\n\r\n`,
  )
  const back = Buffer.from(`\r\n--${BOUNDARY}--\r\n`)
  const { size } = statSync(path)
  const startedAt = performance.now()
  const sent = httpRequest(url, {
    method: 'POST',
    agent,
    headers: {
      ...headers,
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'content-length': front.byteLength + size + back.byteLength,
    },
  })
  const body = async function* (): AsyncIterable<Buffer> {
    yield front
    yield* createReadStream(path, { highWaterMark: PIECE_BYTES })
    yield back
  }
  // Together: a server that ends half-way fails both.
  const [reply] = await Promise.all([replyOf(sent), pipeline(body, sent)])
  const text = await textOf(reply)
  const seconds = (performance.now() - startedAt) / 1000
  // A file object, and of it only the id.
  return { id: (JSON.parse(text) as { id: string }).id, bytes: size, seconds }
}

/** Reads everything and keeps nothing. */
export async function download(
  url: string,
  headers: Headers = {},
): Promise<{ bytes: number; seconds: number }> {
  const startedAt = performance.now()
  const sent = httpRequest(url, { agent, headers })
  const replied = replyOf(sent)
  sent.end()
  const reply = await replied
  let bytes = 0
  await pipeline(reply, async (source: AsyncIterable<Buffer>) => {
    for await (const piece of source) bytes += piece.byteLength
  })
  return { bytes, seconds: (performance.now() - startedAt) / 1000 }
}

/** The file in ranges of so many bytes, one after the other. */
export async function downloadRanges(
  url: string,
  options: { bytes: number; rangeBytes: number },
): Promise<{ bytes: number; seconds: number }> {
  const startedAt = performance.now()
  let bytes = 0
  while (bytes < options.bytes) {
    const last = Math.min(bytes + options.rangeBytes, options.bytes) - 1
    const part = await download(url, { range: `bytes=${bytes}-${last}` })
    if (part.bytes !== last + 1 - bytes) throw new Error(`a range of ${url} came with ${part.bytes} bytes`)
    bytes += part.bytes
  }
  return { bytes, seconds: (performance.now() - startedAt) / 1000 }
}

async function textOf(reply: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of reply) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString('utf8')
}

function replyOf(sent: ReturnType<typeof httpRequest>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once('error', reject)
    sent.once('response', (reply) => {
      if ((reply.statusCode ?? 500) < 300) resolve(reply)
      else
        textOf(reply).then(
          (text) => reject(new Error(`${reply.statusCode} for ${sent.method} ${sent.path}: ${text}`)),
          reject,
        )
    })
  })
}

export function megabytesPerSecond({ bytes, seconds }: { bytes: number; seconds: number }): number {
  return bytes / 1e6 / seconds
}
