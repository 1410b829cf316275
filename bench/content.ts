/**
 * How fast do results leave the server? Whole, in ranges, and sorted by input line; while the batch runs (its last calls wait for
 * a silent engine, so that the download has the machine to itself, as the floor has) and after it has ended. The floor sends a file
 * of at least the same length with nothing in between.
 */
import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { ask, type WireBatch } from '../test/kit/batch-api.ts'
import { CONCURRENCY, createBatchAs, REQUEST_BYTES, until } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import {
  forgetMemoryPeak,
  memoryNowMb,
  memoryPeakMb,
  processorSeconds,
  processorSecondsSince,
} from './processes.ts'
import { download, downloadRanges, megabytesPerSecond, upload } from './transfer.ts'
import type { BenchServer } from './world.ts'

const ANSWER_BYTES = 10_000
const RANGE_BYTES = 16e6
/** Of the file that the floor sends. */
const FLOOR_LINE_BYTES = 1e5

export const content: Benchmark = {
  name: 'content',
  does: 'downloads the results of a batch with answers of 10 KB, running and ended',
  unit: 'MB of results',
  full: { size: 1_000, rounds: 3 },
  smoke: { size: 4, rounds: 1 },
  rows: [
    {
      figure: 'endedMbPerSecond',
      means: 'whole, ended batch',
      unit: 'MB/s',
      target: { atLeast: 500 },
      floor: 'floorMbPerSecond',
    },
    {
      figure: 'runningMbPerSecond',
      means: 'whole, running batch',
      unit: 'MB/s',
      target: { atLeast: 500 },
      floor: 'floorMbPerSecond',
    },
    {
      figure: 'endedRangesMbPerSecond',
      means: 'in ranges of 16 MB, ended batch',
      unit: 'MB/s',
      target: null,
      floor: 'floorRangesMbPerSecond',
    },
    {
      figure: 'runningRangesMbPerSecond',
      means: 'in ranges of 16 MB, running batch',
      unit: 'MB/s',
      target: null,
      floor: 'floorRangesMbPerSecond',
    },
    {
      figure: 'inputOrderMbPerSecond',
      means: 'in input order, ended batch',
      unit: 'MB/s',
      target: { atLeast: 100 },
      floor: 'floorMbPerSecond',
    },
    {
      figure: 'growthMb',
      means: 'resident growth, the worst of all downloads',
      unit: 'MB',
      // Guess: what the table allows uploads.
      target: { atMost: 64 },
    },
  ],
  async *measure(options) {
    const { size, rounds, world } = options
    const upstream = await world.startUpstream()
    const answers = Math.ceil((size * 1e6) / ANSWER_BYTES)
    await upstream.set({ answersMax: answers }, ANSWER_BYTES)
    const server = await world.startServer({ upstream, concurrency: CONCURRENCY })
    const input = await world.requestFile(answers + CONCURRENCY, REQUEST_BYTES)
    const sent = await upload(`${server.url}/v1/files`, input)
    const { id } = await createBatchAs(server.url, sent.id)
    const look = (): Promise<WireBatch> => ask(`${server.url}/v1/batches/${id}`)
    await until(async () => (await look()).request_counts.completed >= answers, 'all answers but the last')
    options.say('all answers but the last are there')

    const url = `${server.url}/v1/files/${(await look()).output_file_id}/content`
    const running: Downloads[] = []
    for (let round = 0; round < rounds; round += 1) running.push(await downloadsOf(server, url))
    await upstream.set({}, ANSWER_BYTES)
    await until(async () => (await look()).status === 'completed', 'the batch to end')
    for (const before of running) {
      const ended = await downloadsOf(server, url)
      const ordered = await growing(server, () => download(`${url}?order=input`))
      yield {
        endedMbPerSecond: ended.whole,
        runningMbPerSecond: before.whole,
        endedRangesMbPerSecond: ended.ranges,
        runningRangesMbPerSecond: before.ranges,
        inputOrderMbPerSecond: ordered.perSecond,
        endedCpuSecondsPerGb: ended.wholeCpuSecondsPerGb,
        inputOrderCpuSecondsPerGb: ordered.cpuSecondsPerGb,
        inputOrderGrowthMb: ordered.growthMb,
        growthMb: Math.max(before.growthMb, ended.growthMb, ordered.growthMb),
        ...(await floorOf(options)),
      }
    }
  },
}

/** The rates of a download as a whole and in ranges, MB/s, and the larger growth. */
type Downloads = { whole: number; ranges: number; wholeCpuSecondsPerGb: number; growthMb: number }

async function downloadsOf(server: BenchServer, url: string): Promise<Downloads> {
  const whole = await growing(server, () => download(url))
  const ranges = await growing(server, () =>
    downloadRanges(url, { bytes: whole.bytes, rangeBytes: RANGE_BYTES }),
  )
  return {
    whole: whole.perSecond,
    ranges: ranges.perSecond,
    wholeCpuSecondsPerGb: whole.cpuSecondsPerGb,
    growthMb: Math.max(whole.growthMb, ranges.growthMb),
  }
}

async function growing(
  server: BenchServer,
  load: () => Promise<{ bytes: number; seconds: number }>,
): Promise<{ bytes: number; perSecond: number; cpuSecondsPerGb: number; growthMb: number }> {
  forgetMemoryPeak(server.pid)
  const beforeMb = memoryNowMb(server.pid)
  const cpuBefore = processorSeconds(server.pid)
  const loaded = await load()
  const cpuSecondsPerGb = processorSecondsSince(server.pid, cpuBefore).all / (loaded.bytes / 1e9)
  // The system counts pages in steps; a growth of none would be no figure.
  const growthMb = Math.max(memoryPeakMb(server.pid) - beforeMb, 0.01)
  return { bytes: loaded.bytes, perSecond: megabytesPerSecond(loaded), cpuSecondsPerGb, growthMb }
}

async function floorOf({ size, world }: BenchOptions): Promise<Measured> {
  const file = await world.requestFile(Math.ceil((size * 1e6) / FLOOR_LINE_BYTES), FLOOR_LINE_BYTES)
  const bare = await world.startFileServer()
  const url = `${bare.origin}/${basename(file)}`
  const whole = await download(url)
  const ranges = await downloadRanges(url, { bytes: statSync(file).size, rangeBytes: RANGE_BYTES })
  await bare.stop()
  return { floorMbPerSecond: megabytesPerSecond(whole), floorRangesMbPerSecond: megabytesPerSecond(ranges) }
}
