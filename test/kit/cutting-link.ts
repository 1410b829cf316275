/** A TCP proxy in front of PostgreSQL that breaks the connection around a commit: before the server hears of it, or before it answers. */

import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'

export type CuttingLink = {
  port: number
  /** The next `commit` is kept from the server, or its answer from the client; then the connection is broken. */
  cutNext: 'request' | 'answer' | null
  cuts: number
  stop(): Promise<void>
}

const COMMIT = /^Q....commit\0/s

export async function startCuttingLink(port: number): Promise<CuttingLink> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const cut = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', () => {
        sockets.delete(socket)
        cut()
      })
    }
    client.on('data', (bytes: Buffer) => {
      const how = COMMIT.test(bytes.toString('latin1')) ? link.cutNext : null
      if (how === null) return void upstream.write(bytes)
      link.cutNext = null
      link.cuts += 1
      if (how === 'request') return cut()
      // The server has done it once it answers.
      upstream.removeAllListeners('data')
      upstream.once('data', cut)
      upstream.write(bytes)
    })
    upstream.on('data', (bytes: Buffer) => client.write(bytes))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const link: CuttingLink = {
    // Listening on TCP, so the address is of that kind.
    port: (server.address() as AddressInfo).port,
    cutNext: null,
    cuts: 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  return link
}
