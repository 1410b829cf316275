/**
 * How many durable results per second does the server sustain when the engine costs nothing? One-kilobyte requests against the
 * instant upstream; server and upstream are processes of their own. Beside it the floor, measured in the same round: a bare loop
 * over the same kind of connections that sends the same bodies and only counts.
 */
import { measureBareSender } from './bare-floor.ts'
import { CONCURRENCY, metricOf, REQUEST_BYTES, runBatch } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import { memoryPeakMb, processorSeconds, processorSecondsSince } from './processes.ts'
import { upload } from './transfer.ts'

export const dispatch: Benchmark = {
  name: 'dispatch',
  does: 'runs one batch of 1 KB chat requests against an instant upstream, with all promises on',
  unit: 'requests',
  full: { size: 1_000_000, rounds: 3 },
  smoke: { size: 1_000, rounds: 1 },
  rows: [
    {
      figure: 'durableResultsPerSecond',
      means: 'durable results',
      unit: '/s',
      target: { atLeast: 20_000 },
      floor: 'floorRequestsPerSecond',
      shareAtLeast: 0.6,
    },
    {
      figure: 'mainCpuMicrosPerRequest',
      means: 'processor time per request, main thread',
      unit: 'µs',
      target: { atMost: 50 },
      floor: 'floorCpuMicrosPerRequest',
    },
    {
      figure: 'serverCpuMicrosPerRequest',
      means: 'processor time per request, all threads',
      unit: 'µs',
      target: { atMost: 65 },
      floor: 'floorCpuMicrosPerRequest',
    },
    // Required by the design: dispatch pauses when an answer waits longer, and only such answers are lost in a crash.
    { figure: 'syncP99Ms', means: 'received to synced, P99', unit: 'ms', target: { atMost: 20 } },
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) yield await measureRound(options)
  },
}

async function measureRound({ size, world, say }: BenchOptions): Promise<Measured> {
  const file = await world.requestFile(size, REQUEST_BYTES)
  const upstream = await world.startUpstream()
  const floor = await measureBareSender(file, upstream, { concurrency: CONCURRENCY })
  say(`floor ${Math.round(floor.requests / floor.seconds)}/s`)
  const server = await world.startServer({ upstream, concurrency: CONCURRENCY })
  const memoryAtStartMb = memoryPeakMb(server.pid)
  const sent = await upload(`${server.url}/v1/files`, file)
  const memoryPeakUploadMb = memoryPeakMb(server.pid)
  const { answered } = await upstream.report()
  const cpuBefore = processorSeconds(server.pid)
  const { perSecond, validationSeconds, runSeconds } = await runBatch(server.url, {
    inputFileId: sent.id,
    requests: size,
  })
  const cpu = processorSecondsSince(server.pid, cpuBefore)
  say(`${Math.round(perSecond)} durable results/s`)
  const measured = {
    durableResultsPerSecond: perSecond,
    floorRequestsPerSecond: floor.requests / floor.seconds,
    mainCpuMicrosPerRequest: (cpu.main / size) * 1e6,
    serverCpuMicrosPerRequest: (cpu.all / size) * 1e6,
    floorCpuMicrosPerRequest: (floor.cpuSeconds / floor.requests) * 1e6,
    syncP50Ms: await metricOf(server.url, 'dw_sync_p50_milliseconds'),
    syncP99Ms: await metricOf(server.url, 'dw_sync_p99_milliseconds'),
    serverMemoryAtStartMb: memoryAtStartMb,
    serverMemoryPeakUploadMb: memoryPeakUploadMb,
    serverMemoryPeakMb: memoryPeakMb(server.pid),
    uploadSeconds: sent.seconds,
    validationSeconds,
    runSeconds,
    upstreamCallsPerRequest: ((await upstream.report()).answered - answered) / size,
  }
  await server.stop()
  server.sandbox.remove()
  await upstream.stop()
  return measured
}
