/**
 * Is memory flat? The same work with a tenth of the lines and with all of them, and many calls that wait long for large answers.
 * Peaks are the system's own (`VmHWM`), over the whole life of a server: upload, validation and run.
 */
import { ask, type WireBatch } from '../test/kit/batch-api.ts'
import { CONCURRENCY, createBatchAs, REQUEST_BYTES, runBatch, until } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import { memoryNowMb, memoryPeakMb, processorSeconds, processorSecondsSince } from './processes.ts'
import { upload } from './transfer.ts'

/** How long each of the many calls waits, and what it gets; of the table's row. */
const WAIT_MS = 20_000
/** A small run is short as well. */
const WAIT_MS_MIN = 400
const ANSWER_BYTES = 10_000
const WAITING_CALLS = 5_000
/** In the waiting part there is one waiting call for so many lines of the size. */
const LINES_PER_WAITING_CALL = 200

export const memory: Benchmark = {
  name: 'memory',
  does: 'compares the memory of batches of different size, and watches thousands of calls wait',
  unit: 'requests',
  full: { size: 1_000_000, rounds: 3 },
  smoke: { size: 2_000, rounds: 1 },
  rows: [
    { figure: 'largePeakMb', means: 'resident, all lines', unit: 'MB', target: { atMost: 256 } },
    {
      figure: 'largeToSmall',
      means: 'resident, all lines to a tenth of them',
      unit: '×',
      target: { atMost: 1.1 },
    },
    { figure: 'waitingCpuPercent', means: 'processor while calls wait', unit: '%', target: { atMost: 5 } },
    { figure: 'waitingPeakMb', means: 'resident, many waiting calls', unit: 'MB', target: { atMost: 256 } },
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) {
      const smallPeakMb = await peakOf(options, options.size / 10)
      const largePeakMb = await peakOf(options, options.size)
      options.say(`${Math.round(smallPeakMb)} MB, ${Math.round(largePeakMb)} MB with ten times the lines`)
      const largeToSmall = largePeakMb / smallPeakMb
      yield { smallPeakMb, largePeakMb, largeToSmall, ...(await measureWaiting(options)) }
    }
  },
}

async function peakOf({ world }: BenchOptions, requests: number): Promise<number> {
  const upstream = await world.startUpstream()
  const server = await world.startServer({ upstream, concurrency: CONCURRENCY })
  const sent = await upload(`${server.url}/v1/files`, await world.requestFile(requests, REQUEST_BYTES))
  await runBatch(server.url, { inputFileId: sent.id, requests })
  const peakMb = memoryPeakMb(server.pid)
  await server.stop()
  server.sandbox.remove()
  await upstream.stop()
  return peakMb
}

/** Two rounds of calls, all at once each; the processor is watched while none begins or ends. */
async function measureWaiting({ size, world, say }: BenchOptions): Promise<Measured> {
  const calls = Math.min(WAITING_CALLS, Math.ceil(size / LINES_PER_WAITING_CALL))
  const waitMs = Math.max(WAIT_MS_MIN, (WAIT_MS * calls) / WAITING_CALLS)
  const upstream = await world.startUpstream()
  await upstream.set({ delayMs: waitMs }, ANSWER_BYTES)
  const server = await world.startServer({ upstream, concurrency: calls })
  const sent = await upload(`${server.url}/v1/files`, await world.requestFile(calls * 2, REQUEST_BYTES))
  const created = await createBatchAs(server.url, sent.id)
  await until(async () => (await upstream.report()).arrived === calls, 'all calls to be in flight')
  const { answered } = await upstream.report()
  const startedAt = performance.now()
  const cpuBefore = processorSeconds(server.pid)
  const waitingMb = memoryNowMb(server.pid)
  // Nothing of the benchmark's own may disturb the silence; some answers come earlier than the last call began.
  await new Promise((resolve) => setTimeout(resolve, waitMs / 2))
  const cpu = processorSecondsSince(server.pid, cpuBefore)
  const seconds = (performance.now() - startedAt) / 1000
  const isDisturbed = answered > 0 || (await upstream.report()).answered > 0
  if (isDisturbed) say('some calls had ended before all were in flight: the wait was too short')
  await until(async () => {
    const { status } = await ask<WireBatch>(`${server.url}/v1/batches/${created.id}`)
    return status === 'completed'
  }, 'the batch with long answers to end')
  const measured = {
    waitingCalls: calls,
    waitingCpuPercent: (cpu.all / seconds) * 100,
    waitingMb,
    waitingPeakMb: memoryPeakMb(server.pid),
  }
  await server.stop()
  server.sandbox.remove()
  await upstream.stop()
  return measured
}
