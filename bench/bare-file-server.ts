/**
 * The floor under uploads and downloads: a server that writes what is posted to a file and syncs it, and sends back the bytes of
 * the files in its folder, whole or in ranges. Runs as a process of its own.
 *
 *   node bench/bare-file-server.ts FOLDER
 */
import { createReadStream, createWriteStream, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** Guess: as much as both servers read at a time. */
const PIECE_BYTES = 256 * 1024

async function serve(folder: string, request: IncomingMessage, reply: ServerResponse): Promise<void> {
  const path = join(folder, basename(request.url ?? ''))
  if (request.method === 'POST') {
    await pipeline(request, createWriteStream(path, { highWaterMark: PIECE_BYTES }))
    const file = await open(path, 'r+')
    await file.datasync()
    await file.close()
    reply.end('{"id":"bare"}')
    return
  }
  const { size } = statSync(path)
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  const [start, end] = range === null ? [0, size - 1] : [Number(range[1]), Number(range[2])]
  reply.writeHead(range === null ? 200 : 206, { 'content-length': end - start + 1 })
  await pipeline(createReadStream(path, { start, end, highWaterMark: PIECE_BYTES }), reply)
}

if (import.meta.main) {
  const [folder = '.'] = process.argv.slice(2)
  const server = createServer((request, reply) => {
    serve(folder, request, reply).catch(() => reply.destroy())
  })
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    process.send?.({ port })
  })
  process.on('disconnect', () => process.exit(0))
}
