/**
 * An HTTP proxy in front of a server that ends connections in the middle of file contents, and notes what passed: each reply from which
 * byte on, and how many bytes of it. The connection is ended, not reset, so that the other side may read all that was passed on.
 */
import { createServer, request as requestOf, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type PassedContent = {
  path: string
  /** As the request's range says; 0 without one. */
  fromByte: number
  bytes: number
}

export type CuttingProxy = {
  /** Without `/v1`. */
  url: string
  /** Replies with the content of a file, in their order. */
  contents: PassedContent[]
  /** A reply ends after so many bytes of content. */
  cutAfterBytes: number
  /** Resolves once so many bytes of content have passed, over all replies, or when `orElse` resolves. */
  passed(bytes: number, orElse: Promise<unknown>): Promise<void>
  stop(): Promise<void>
}

export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  const origin = new URL(target)
  const more = new EventTarget()
  const sum = (): number => proxy.contents.reduce((bytes, content) => bytes + content.bytes, 0)
  const server = createServer((request, response) => {
    const { method, url: path = '/' } = request
    // A server without keys answers to its own name alone.
    const headers = { ...request.headers, host: origin.host }
    const ahead = requestOf({ host: origin.hostname, port: origin.port, method, headers, path }, (reply) => {
      response.writeHead(reply.statusCode ?? 500, reply.headers)
      if (!new URL(path, target).pathname.endsWith('/content')) return void reply.pipe(response)
      const fromByte = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)
      const content = { path, fromByte, bytes: 0 }
      proxy.contents.push(content)
      pass(reply, response, {
        content,
        cutAfterBytes: proxy.cutAfterBytes,
        onBytes: () => more.dispatchEvent(new Event('bytes')),
      }).catch(() => response.destroy())
    })
    // One side is gone: so is the other.
    ahead.on('error', () => response.destroy())
    response.on('close', () => ahead.destroy())
    request.pipe(ahead)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: CuttingProxy = {
    // Listening on TCP, so the address is of that kind.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    contents: [],
    cutAfterBytes: Number.POSITIVE_INFINITY,
    passed: (bytes, orElse) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (sum() < bytes) return
          more.removeEventListener('bytes', look)
          resolve()
        }
        more.addEventListener('bytes', look)
        orElse.then(() => resolve(), resolve)
        look()
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return proxy
}

async function pass(
  reply: AsyncIterable<Buffer>,
  response: ServerResponse,
  { content, cutAfterBytes, onBytes }: { content: PassedContent; cutAfterBytes: number; onBytes: () => void },
): Promise<void> {
  const closed = new Promise((resolve) => response.once('close', resolve))
  for await (const chunk of reply) {
    const sent = chunk.subarray(0, cutAfterBytes - content.bytes)
    content.bytes += sent.byteLength
    const isFull = !response.write(sent)
    onBytes()
    if (content.bytes >= cutAfterBytes) return void response.socket?.end()
    if (isFull) await Promise.race([closed, new Promise((resolve) => response.once('drain', resolve))])
    if (response.destroyed) return
  }
  response.end()
}
