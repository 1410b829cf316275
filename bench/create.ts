/**
 * How long does `POST /v1/batches` take on a file that was validated when it was uploaded, and does that depend on its lines? The
 * upstream is silent, so that no batch is at work while the next one is created.
 */
import { CONCURRENCY, createBatchAs, REQUEST_BYTES, until } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import { median, percentile } from './figures.ts'
import { upload } from './transfer.ts'

const CREATES = 30
/** One line for so many of the large file. */
const SMALL_SHARE = 1_000

export const create: Benchmark = {
  name: 'create',
  does: 'creates batches on a large and on a small validated file',
  unit: 'lines',
  full: { size: 1_000_000, rounds: 3 },
  smoke: { size: 5_000, rounds: 1 },
  rows: [
    { figure: 'largeP50Ms', means: 'create, all lines, P50', unit: 'ms', target: { atMost: 50 } },
    { figure: 'largeMaxMs', means: 'create, all lines, slowest', unit: 'ms', target: { atMost: 50 } },
    {
      figure: 'largeToSmall',
      means: 'create, all lines to a thousandth of them, P50',
      unit: '×',
      // Guess: what "independent of the number of lines" leaves to chance.
      target: { atMost: 1.5 },
    },
    { figure: 'firstCallMs', means: 'create to first call, all lines', unit: 'ms', target: null },
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) yield await measureRound(options)
  },
}

async function measureRound({ size, world }: BenchOptions): Promise<Measured> {
  const upstream = await world.startUpstream()
  await upstream.set({ answersMax: 0 })
  const server = await world.startServer({ upstream, concurrency: CONCURRENCY })
  const large = await upload(`${server.url}/v1/files`, await world.requestFile(size, REQUEST_BYTES))
  const smallFile = await world.requestFile(Math.ceil(size / SMALL_SHARE), REQUEST_BYTES)
  const small = await upload(`${server.url}/v1/files`, smallFile)

  const firstAt = Date.now()
  await createBatchAs(server.url, large.id)
  let firstCallAt: number | null = null
  await until(async () => {
    firstCallAt = (await upstream.report()).firstCallAt
    return firstCallAt !== null
  }, 'the first call')

  const times = new Map<string, number[]>([
    [large.id, []],
    [small.id, []],
  ])
  for (let number = 0; number < CREATES; number += 1) {
    for (const [fileId, taken] of times) {
      const startedAt = performance.now()
      await createBatchAs(server.url, fileId)
      taken.push(performance.now() - startedAt)
    }
  }
  await server.kill()
  server.sandbox.remove()
  await upstream.stop()
  const [larges = [], smalls = []] = [...times.values()]
  return {
    smallP50Ms: median(smalls),
    largeP50Ms: median(larges),
    largeMaxMs: percentile(larges, 1),
    largeToSmall: median(larges) / median(smalls),
    // Both clocks count whole milliseconds.
    firstCallMs: Math.max((firstCallAt ?? Number.NaN) - firstAt, 0.5),
  }
}
