/** How long people wait: for the webhook of an ended batch, and for figures and requests of a very large one. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CONCURRENCY, runBatch } from '../../bench/batch-run.ts'
import { upload } from '../../bench/transfer.ts'
import { createWorld } from '../../bench/world.ts'
import { ask, createBatch, uploadFile } from '../../test/kit/batch-api.ts'
import { startScriptedUpstream } from '../../test/kit/scripted-upstream.ts'
import { configFlags, createSandbox, startServerProcess } from '../../test/kit/server-process.ts'
import { type Figure, timeFigure } from './figure.ts'

const WEBHOOK_ROUNDS = 10
const WEBHOOK_LINES = 200
const WEBHOOK_MS_MAX = 1_000

/** From the moment in which the engine has sent its last answer to the arrival of the webhook; the slowest of some batches. */
export async function measureWebhook(): Promise<Figure[]> {
  const sandbox = createSandbox()
  const upstream = await startScriptedUpstream({ models: ['m'] })
  let arrive: (at: number) => void = () => undefined
  const receiver = createServer((request, response) => {
    arrive(performance.now())
    request.resume()
    response.end('ok')
  })
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  // Listening on TCP, so the address is of that kind.
  const { port } = receiver.address() as AddressInfo
  try {
    const more = '[webhooks]\nallow_private_targets = true\n'
    const server = await startServerProcess(
      sandbox,
      configFlags(sandbox, { url: upstream.url, concurrency: 16 }, more),
    )
    try {
      await ask(`${server.url}/v1/webhook_endpoints`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          name: 'figures',
          url: `http://127.0.0.1:${port}/`,
          event_types: ['batch.completed'],
        }),
      })
      const path = sandbox.path('webhook.jsonl')
      writeFileSync(path, Array.from({ length: WEBHOOK_LINES }, (_, place) => line(place)).join(''))
      const fileId = await uploadFile(server.url, path)
      const waits: number[] = []
      for (let round = 0; round < WEBHOOK_ROUNDS; round += 1) {
        const arrived = new Promise<number>((resolve) => {
          arrive = resolve
        })
        await createBatch(server.url, fileId)
        const at = await arrived
        waits.push(at - Math.max(...upstream.calls.map(({ endedAt }) => endedAt ?? 0)))
      }
      return [
        timeFigure(
          `webhook after the last answer, slowest of ${WEBHOOK_ROUNDS}`,
          Math.max(...waits),
          WEBHOOK_MS_MAX,
        ),
      ]
    } finally {
      await server.kill('SIGKILL')
    }
  } finally {
    receiver.closeAllConnections()
    receiver.close()
    await upstream.stop()
    sandbox.remove()
  }
}

function line(place: number): string {
  const body = { model: 'm', messages: [{ role: 'user', content: `question ${place}` }] }
  return `${JSON.stringify({ custom_id: `${place}`, method: 'POST', url: '/v1/chat/completions', body })}\n`
}

const LINE_BYTES = 192
const ANALYTICS_MS_MAX = 200
const PAGE_MS_MAX = 50
const PAGE_ROUNDS = 9

/** The server is started anew before it is asked, so that nothing is remembered. */
export async function measureLarge(lines: number, say: (text: string) => void): Promise<Figure[]> {
  const world = createWorld()
  try {
    const upstream = await world.startUpstream()
    const first = await world.startServer({ upstream, concurrency: CONCURRENCY })
    const sent = await upload(`${first.url}/v1/files`, await world.requestFile(lines, LINE_BYTES))
    say(`uploaded ${lines} requests`)
    const { batch, perSecond } = await runBatch(first.url, { inputFileId: sent.id, requests: lines })
    say(`ran them at ${Math.round(perSecond)} a second`)
    await first.stop()
    const { url } = await world.startServer({ upstream, concurrency: CONCURRENCY, sandbox: first.sandbox })
    const time = async (path: string): Promise<number> => {
      const startedAt = performance.now()
      await ask(`${url}/v1/batches/${batch.id}/${path}`)
      return performance.now() - startedAt
    }
    const cold = await time('analytics')
    const again = await time('analytics')
    const pages = []
    for (const [name, query] of pageQueries(lines)) {
      const times = []
      for (let round = 0; round < PAGE_ROUNDS; round += 1)
        times.push(await time(`requests?limit=100&${query}`))
      pages.push({ name, ms: times.toSorted((a, b) => a - b)[PAGE_ROUNDS >> 1] ?? Number.NaN })
    }
    const size = lines.toLocaleString('en')
    return [
      timeFigure(`analytics of ${size} requests, server just started`, cold, ANALYTICS_MS_MAX),
      timeFigure(`the same, asked again`, again, ANALYTICS_MS_MAX),
      ...pages.map(({ name, ms }) => timeFigure(`100 requests of ${size}: ${name}`, ms, PAGE_MS_MAX)),
    ]
  } finally {
    await world.close()
  }
}

function pageQueries(lines: number): [string, string][] {
  return [
    ['the first', 'after=0'],
    ['from the middle', `after=${Math.floor(lines / 2)}`],
    ['the last', `after=${lines - 100}`],
    ['those that succeeded, from the middle', `after=${Math.floor(lines / 2)}&status=succeeded`],
    ['those that failed: none', 'status=failed'],
    ['with their bodies and answers', `after=${Math.floor(lines / 3)}&include=input,output`],
  ]
}
