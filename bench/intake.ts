/**
 * How fast does a file come in, with every line validated and indexed, and what does that cost a batch that runs meanwhile? The
 * floor takes the same bytes over HTTP and writes them to the same disk, synced, without looking at them.
 */
import { rmSync } from 'node:fs'
import { createBatchAs, metricOf, REQUEST_BYTES, until } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import {
  forgetMemoryPeak,
  memoryNowMb,
  memoryPeakMb,
  processorSeconds,
  processorSecondsSince,
} from './processes.ts'
import { REFILL_CONCURRENCY, refillPace } from './refill.ts'
import { megabytesPerSecond, upload } from './transfer.ts'

const SHORT_LINE_BYTES = 1_024
const LONG_LINE_BYTES = 102_400
/** For each MB of the upload, 50 ms of work: at 1,000 requests a second the other batch lasts longer than an upload at 20 MB/s. */
const MEANWHILE_REQUESTS_PER_MB = 50
const MEANWHILE_REQUESTS_MIN = 2_000
/** Guess: after so many answers connections are open and code is compiled. */
const WARM_UP_ANSWERS = 500

export const intake: Benchmark = {
  name: 'intake',
  does: 'uploads files of short and of long lines, also beside a running batch',
  unit: 'MB',
  full: { size: 2_000, rounds: 3 },
  smoke: { size: 4, rounds: 1 },
  rows: [
    {
      figure: 'shortMbPerSecond',
      means: 'lines of 1 KB',
      unit: 'MB/s',
      target: { atLeast: 300 },
      floor: 'floorShortMbPerSecond',
      shareAtLeast: 0.5,
    },
    {
      figure: 'longMbPerSecond',
      means: 'lines of 100 KB',
      unit: 'MB/s',
      target: { atLeast: 300 },
      floor: 'floorLongMbPerSecond',
      shareAtLeast: 0.5,
    },
    { figure: 'shortGrowthMb', means: 'resident growth, 1 KB', unit: 'MB', target: { atMost: 64 } },
    { figure: 'longGrowthMb', means: 'resident growth, 100 KB', unit: 'MB', target: { atMost: 64 } },
    {
      figure: 'refillP99Ms',
      means: 'slot refill of a running batch, P99',
      unit: 'ms',
      target: { atMost: 5 },
    },
    {
      figure: 'meanwhileMbPerSecond',
      means: 'lines of 1 KB, beside a running batch',
      unit: 'MB/s',
      target: null,
      floor: 'floorShortMbPerSecond',
    },
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) {
      const { short, long } = await measureAlone(options)
      options.say(`${Math.round(short.perSecond)} and ${Math.round(long.perSecond)} MB/s`)
      yield {
        shortMbPerSecond: short.perSecond,
        floorShortMbPerSecond: short.floorPerSecond,
        shortCpuSecondsPerGb: short.cpuSecondsPerGb,
        shortGrowthMb: short.growthMb,
        longMbPerSecond: long.perSecond,
        floorLongMbPerSecond: long.floorPerSecond,
        longCpuSecondsPerGb: long.cpuSecondsPerGb,
        longGrowthMb: long.growthMb,
        ...(await measureMeanwhile(options)),
      }
    }
  },
}

function fileOf({ size, world }: BenchOptions, lineBytes: number): Promise<string> {
  return world.requestFile(Math.ceil((size * 1e6) / lineBytes), lineBytes)
}

type Alone = { perSecond: number; floorPerSecond: number; cpuSecondsPerGb: number; growthMb: number }

/** Both files to one server with nothing else to do, each beside its floor. */
async function measureAlone(options: BenchOptions): Promise<{ short: Alone; long: Alone }> {
  const { world } = options
  const upstream = await world.startUpstream()
  const bare = await world.startFileServer()
  const server = await world.startServer({ upstream, concurrency: REFILL_CONCURRENCY })
  // The first upload of a server compiles code and starts threads; growth is what a further one adds.
  await upload(`${server.url}/v1/files`, await world.requestFile(WARM_UP_ANSWERS, REQUEST_BYTES))
  const measure = async (lineBytes: number): Promise<Alone> => {
    const file = await fileOf(options, lineBytes)
    const floor = await upload(`${bare.origin}/bare-upload`, file)
    rmSync(world.path('bare-upload'))
    forgetMemoryPeak(server.pid)
    const beforeMb = memoryNowMb(server.pid)
    const cpuBefore = processorSeconds(server.pid)
    const sent = await upload(`${server.url}/v1/files`, file)
    return {
      perSecond: megabytesPerSecond(sent),
      floorPerSecond: megabytesPerSecond(floor),
      cpuSecondsPerGb: processorSecondsSince(server.pid, cpuBefore).all / (sent.bytes / 1e9),
      growthMb: Math.max(memoryPeakMb(server.pid) - beforeMb, 0.01),
    }
  }
  const measured = { short: await measure(SHORT_LINE_BYTES), long: await measure(LONG_LINE_BYTES) }
  await server.stop()
  server.sandbox.remove()
  await bare.stop()
  await upstream.stop()
  return measured
}

/** The same upload while another batch makes 1,000 calls a second. */
async function measureMeanwhile(options: BenchOptions): Promise<Measured> {
  const { size, world } = options
  const file = await fileOf(options, SHORT_LINE_BYTES)
  const requests = Math.max(MEANWHILE_REQUESTS_MIN, size * MEANWHILE_REQUESTS_PER_MB)
  const upstream = await world.startUpstream()
  await upstream.set(refillPace)
  const server = await world.startServer({ upstream, concurrency: REFILL_CONCURRENCY })
  const other = await upload(`${server.url}/v1/files`, await world.requestFile(requests, REQUEST_BYTES))
  await createBatchAs(server.url, other.id)
  await until(async () => (await upstream.report()).answered >= WARM_UP_ANSWERS, 'the other batch to run')
  await upstream.mark()
  const sent = await upload(`${server.url}/v1/files`, file)
  const { refillP50Ms, refillP99Ms, answered } = await upstream.report()
  if (answered >= requests) throw new Error('the other batch ended before the upload did')
  // Calls wait while answers are not synced, and both write to one disk: it tells whether that is the reason.
  const syncP99Ms = await metricOf(server.url, 'dw_sync_p99_milliseconds')
  await server.kill()
  server.sandbox.remove()
  await upstream.stop()
  return { meanwhileMbPerSecond: megabytesPerSecond(sent), refillP50Ms, refillP99Ms, syncP99Ms }
}
