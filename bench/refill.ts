/**
 * How long does a slot stay empty? The upstream answers a thousand requests a second and notes, for each answer, when the next
 * request after it arrives. The bare sender against the same upstream is the floor: network and the upstream's own delay.
 */
import { measureBareSender } from './bare-floor.ts'
import { REQUEST_BYTES, runBatch } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import type { BenchUpstream } from './processes.ts'
import { upload } from './transfer.ts'

/** Together 1,000 requests a second, answered one by one. */
export const REFILL_CONCURRENCY = 50
export const refillPace = { delayMs: 50, spreadMs: 25 }
/** The first of them fill the slots. */
const WARM_UP_SHARE = 0.1

export const refill: Benchmark = {
  name: 'refill',
  does: 'notes how long a freed slot stays empty, at 1,000 requests a second',
  unit: 'requests',
  full: { size: 30_000, rounds: 3 },
  smoke: { size: 500, rounds: 1 },
  rows: [
    {
      figure: 'refillP99Ms',
      means: 'slot freed to next request on the wire, P99',
      unit: 'ms',
      target: { atMost: 5 },
      floor: 'floorRefillP99Ms',
    },
    {
      figure: 'requestsPerSecond',
      means: 'while so many requests were answered',
      unit: '/s',
      target: null,
    },
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) yield await measureRound(options)
  },
}

async function measureRound({ size, world }: BenchOptions): Promise<Measured> {
  const upstream = await world.startUpstream()
  await upstream.set(refillPace)
  const file = await world.requestFile(size, REQUEST_BYTES)
  const floorRefill = await floorOf(upstream, { file, size })
  const server = await world.startServer({ upstream, concurrency: REFILL_CONCURRENCY })
  const sent = await upload(`${server.url}/v1/files`, file)
  let isWarm = false
  const run = await runBatch(server.url, {
    inputFileId: sent.id,
    requests: size,
    async onLook({ request_counts: { completed } }) {
      if (isWarm || completed < size * WARM_UP_SHARE) return
      isWarm = true
      await upstream.mark()
    },
  })
  const { refillP50Ms, refillP99Ms } = await upstream.report()
  await server.stop()
  await upstream.stop()
  return { requestsPerSecond: run.perSecond, refillP50Ms, refillP99Ms, ...floorRefill }
}

async function floorOf(
  upstream: BenchUpstream,
  { file, size }: { file: string; size: number },
): Promise<Measured> {
  await upstream.mark()
  await measureBareSender(file, upstream, { concurrency: REFILL_CONCURRENCY, requestsMax: size / 2 })
  const { refillP50Ms, refillP99Ms } = await upstream.report()
  await upstream.mark()
  return { floorRefillP50Ms: refillP50Ms, floorRefillP99Ms: refillP99Ms }
}
