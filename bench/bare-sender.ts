/**
 * The floor under `dispatch`: sends the bodies of a request file over the same kind of connections (undici, one call at a time on
 * each) and only counts the answers. Runs as a process of its own, so that its processor time is its own.
 *
 *   node bench/bare-sender.ts FILE ORIGIN CONCURRENCY REQUESTS_MAX
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Client } from 'undici'

export type SenderReport = { requests: number; seconds: number; cpuSeconds: number }

async function readBodies(path: string, countMax: number): Promise<Buffer[]> {
  const bodies: Buffer[] = []
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (bodies.length >= countMax) break
    bodies.push(Buffer.from(JSON.stringify((JSON.parse(line) as { body: unknown }).body)))
  }
  return bodies
}

async function sendAll(
  bodies: readonly Buffer[],
  options: { origin: string; concurrency: number },
): Promise<void> {
  const clients = Array.from(
    { length: options.concurrency },
    () => new Client(options.origin, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 }),
  )
  let next = 0
  await new Promise<void>((resolve, reject) => {
    let left = bodies.length
    const sendNext = (client: Client): void => {
      const body = bodies[next]
      if (body === undefined) return
      next += 1
      client.dispatch(
        {
          method: 'POST',
          path: '/v1/chat/completions',
          headers: { 'content-type': 'application/json' },
          body,
        },
        {
          onRequestStart: () => {},
          onResponseStart: () => {},
          onResponseData: () => {},
          onResponseEnd: () => {
            left -= 1
            if (left === 0) resolve()
            else sendNext(client)
          },
          onResponseError: (_controller, cause) => reject(cause),
        },
      )
    }
    clients.forEach(sendNext)
  })
  await Promise.all(clients.map((client) => client.close()))
}

if (import.meta.main) {
  const [path = '', origin = '', concurrency = '', countMax = ''] = process.argv.slice(2)
  const bodies = await readBodies(path, Number(countMax))
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  await sendAll(bodies, { origin, concurrency: Number(concurrency) })
  const seconds = (performance.now() - startedMs) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  const report: SenderReport = { requests: bodies.length, seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6 }
  console.log(JSON.stringify(report))
}
