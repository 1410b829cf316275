/**
 * How does the cost of a request grow with what the server has to do? Four kinds of size, each at three values, one server for each:
 * lines of a batch, requests in flight, batches at the same time, tenants. All else stays the same.
 */
import { CONCURRENCY, createBatchAs, metricOf, REQUEST_BYTES, until } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured, Row } from './benchmark.ts'
import { memoryPeakMb, processorSeconds, processorSecondsSince } from './processes.ts'
import { addTenant } from './tenants.ts'

type Load = { lines: number; inFlight: number; batches: number; tenants: number }

/** @param size requests in all, the most that one run has */
type Kind = { name: string; means: string; values: (size: number) => readonly number[]; load: LoadOf }
type LoadOf = (value: number, size: number) => Load

/** Requests in all where their number is not what grows, as a share of the size. */
const FIXED_SHARE = 0.2

const one = (size: number): Load => ({
  lines: Math.ceil(size * FIXED_SHARE),
  inFlight: CONCURRENCY,
  batches: 1,
  tenants: 1,
})

/** As many batches, of which each has its part of the same requests. */
const divided = (size: number, batches: number): Load => ({
  ...one(size),
  batches,
  lines: Math.ceil((size * FIXED_SHARE) / batches),
})

const kinds: readonly Kind[] = [
  {
    name: 'lines',
    means: 'lines',
    values: (size) => [Math.ceil(size / 25), Math.ceil(size / 5), size],
    load: (lines, size) => ({ ...one(size), lines }),
  },
  {
    name: 'inFlight',
    means: 'in flight',
    values: () => [16, 256, 4_096],
    load: (inFlight, size) => ({ ...one(size), inFlight }),
  },
  {
    name: 'batches',
    means: 'batches',
    values: () => [1, 30, 900],
    load: (batches, size) => divided(size, batches),
  },
  {
    name: 'tenants',
    means: 'tenants',
    values: () => [1, 10, 100],
    load: (tenants, size) => ({ ...divided(size, 100), tenants }),
  },
]

const sizes = ['small', 'middle', 'large'] as const

function rowsOf({ name, means }: Kind): Row[] {
  return sizes.flatMap((size): Row[] => [
    { figure: `${name}-${size}`, means: `${size}: ${means}`, unit: '', target: null },
    {
      figure: `${name}-${size}-micros`,
      means: `${size}: processor time per request`,
      unit: 'µs',
      target: null,
      ...(size === 'small' ? {} : { floor: `${name}-small-micros` }),
    },
    { figure: `${name}-${size}-mb`, means: `${size}: resident at most`, unit: 'MB', target: null },
  ])
}

export const growth: Benchmark = {
  name: 'growth',
  does: 'runs ever more lines, requests in flight, batches and tenants',
  unit: 'requests',
  full: { size: 500_000, rounds: 1 },
  smoke: { size: 2_000, rounds: 1 },
  rows: kinds.flatMap(rowsOf),
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) yield await measureRound(options)
  },
}

async function measureRound(options: BenchOptions): Promise<Measured> {
  const measured: Record<string, number> = {}
  for (const { name, means, values, load } of kinds) {
    for (const [place, value] of values(options.size).entries()) {
      const { micros, peakMb } = await measureLoad(load(value, options.size), options)
      options.say(`${value} ${means}: ${micros.toFixed(1)} µs, ${Math.round(peakMb)} MB`)
      const prefix = `${name}-${sizes[place] ?? ''}`
      measured[prefix] = value
      measured[`${prefix}-micros`] = micros
      measured[`${prefix}-mb`] = peakMb
    }
  }
  return measured
}

/** No call is answered before all batches are there. */
async function measureLoad(load: Load, { world }: BenchOptions): Promise<{ micros: number; peakMb: number }> {
  const upstream = await world.startUpstream()
  const server = await world.startServer({ upstream, concurrency: load.inFlight })
  const file = await world.requestFile(load.lines, REQUEST_BYTES)
  await upstream.set({ answersMax: 0 })
  for (let number = 0; number < load.tenants; number += 1) {
    const tenant = await addTenant(server, { name: `tenant-${number}`, file })
    for (let batch = number; batch < load.batches; batch += load.tenants)
      await createBatchAs(server.url, tenant.fileId, tenant.headers)
  }
  const before = processorSeconds(server.pid)
  await upstream.set({})
  await until(async () => (await metricOf(server.url, 'dw_batches_live')) === 0, 'all batches to end')
  const cpu = processorSecondsSince(server.pid, before)
  const peakMb = memoryPeakMb(server.pid)
  await server.stop()
  server.sandbox.remove()
  await upstream.stop()
  return { micros: (cpu.all / (load.lines * load.batches)) * 1e6, peakMb }
}
