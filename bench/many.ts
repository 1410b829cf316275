/**
 * Do many batches cost more than one, and does a tenant with many of them hold up the others? First all are live before the first
 * call is answered, and their rate stands beside that of one batch of as many requests on the same server. Then the tenants with
 * one batch each come one after the other while the large tenant's batches run, and each one's time stands beside that of the same
 * batch on an idle server.
 */
import { ask, type WireBatch } from '../test/kit/batch-api.ts'
import { CONCURRENCY, createBatchAs, metricOf, REQUEST_BYTES, runBatch, until } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import { median, percentile } from './figures.ts'
import type { BenchUpstream } from './processes.ts'
import { addTenant, type Tenant } from './tenants.ts'
import { upload } from './transfer.ts'
import type { BenchServer } from './world.ts'

const REQUESTS = 100
/** 49 of 1,000 batches belong to tenants who have only that one. */
const SINGLE_SHARE = 0.049
/** Batches on the idle server; the first ones compile code. */
const IDLE_BATCHES = 15

export const many: Benchmark = {
  name: 'many',
  does: 'runs a thousand batches of 100 requests at the same time, most of them of one tenant',
  unit: 'batches',
  full: { size: 1_000, rounds: 3 },
  smoke: { size: 40, rounds: 1 },
  rows: [
    {
      figure: 'requestsPerSecond',
      means: 'durable results, all batches',
      unit: '/s',
      target: null,
      floor: 'oneBatchPerSecond',
      shareAtLeast: 0.7,
    },
    {
      figure: 'slowestToIdle',
      means: 'slowest batch of the other tenants, to its time on an idle server',
      unit: '×',
      target: { atMost: 3 },
    },
    { figure: 'singleP50Ms', means: 'the same, P50', unit: 'ms', target: null, floor: 'idleP50Ms' },
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) yield await measureRound(options)
  },
}

async function measureRound(options: BenchOptions): Promise<Measured> {
  const { size, world, say } = options
  const upstream = await world.startUpstream()
  const server = await world.startServer({ upstream, concurrency: CONCURRENCY })
  const requests = size * REQUESTS
  const whole = await upload(`${server.url}/v1/files`, await world.requestFile(requests, REQUEST_BYTES))
  const one = await runBatch(server.url, { inputFileId: whole.id, requests })
  say(`one batch: ${Math.round(one.perSecond)}/s`)

  const singles = Math.max(1, Math.round(size * SINGLE_SHARE))
  const file = await world.requestFile(REQUESTS, REQUEST_BYTES)
  const tenants: Tenant[] = []
  for (let number = 0; number <= singles; number += 1)
    tenants.push(await addTenant(server, { name: `tenant-${number}`, file }))
  const [large, ...others] = tenants
  if (large === undefined) throw new Error('there is at least one tenant')
  const idles: number[] = []
  for (let number = 0; number < IDLE_BATCHES; number += 1) idles.push(await timeOfOne(server, large))
  const idleP50Ms = median(idles.slice(5))

  const parts = { server, upstream, large, count: size - singles }
  await holdBatches(parts)
  for (const tenant of others) await createBatchAs(server.url, tenant.fileId, tenant.headers)
  const requestsPerSecond = await rateAfterRelease(parts)
  say(`all batches: ${Math.round(requestsPerSecond)}/s`)

  await holdBatches(parts)
  await upstream.set({})
  const times: number[] = []
  for (const tenant of others) {
    const timeMs = await timeOfOne(server, tenant)
    // A batch that had the server to itself at its end says nothing.
    if ((await metricOf(server.url, 'dw_batches_live')) === 0) break
    times.push(timeMs)
  }
  await server.kill()
  server.sandbox.remove()
  await upstream.stop()
  return {
    requestsPerSecond,
    oneBatchPerSecond: one.perSecond,
    idleP50Ms,
    singleP50Ms: median(times),
    slowestToIdle: percentile(times, 1) / idleP50Ms,
    tenantsMeasured: times.length,
  }
}

type Parts = { server: BenchServer; upstream: BenchUpstream; large: Tenant; count: number }

/** The large tenant's batches, live, with no call answered. */
async function holdBatches({ server, upstream, large, count }: Parts): Promise<void> {
  await upstream.set({ answersMax: (await upstream.report()).answered })
  for (let number = 0; number < count; number += 1)
    await createBatchAs(server.url, large.fileId, large.headers)
}

async function rateAfterRelease({ server, upstream }: Parts): Promise<number> {
  const { answered } = await upstream.report()
  const startedAt = performance.now()
  await upstream.set({})
  await until(async () => (await metricOf(server.url, 'dw_batches_live')) === 0, 'all batches to end')
  const seconds = (performance.now() - startedAt) / 1000
  return ((await upstream.report()).answered - answered) / seconds
}

/** From the create to the look that shows its end, ms. */
async function timeOfOne({ url }: BenchServer, { headers, fileId }: Tenant): Promise<number> {
  const startedAt = performance.now()
  const { id } = await createBatchAs(url, fileId, headers)
  for (;;) {
    const { status } = await ask<WireBatch>(`${url}/v1/batches/${id}`, { headers })
    if (status === 'completed') return performance.now() - startedAt
    if (status === 'failed') throw new Error(`batch ${id} failed`)
  }
}
