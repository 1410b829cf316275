/**
 * How many durable results per second does the server sustain when the engine costs nothing? One-kilobyte requests against the
 * instant upstream; server and upstream are processes of their own. Beside it the floor, measured in the same run: a bare loop
 * over the same kind of connections that sends the same bodies and only counts.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { createBatch, getBatch, uploadFile } from '../test/kit/batch-api.ts'
import { writeLargeFile } from '../test/kit/requests.ts'
import { configFlags, createSandbox, run, startServerProcess } from '../test/kit/server-process.ts'
import type { SenderReport } from './bare-sender.ts'
import type { BenchOptions, Measured } from './benchmark.ts'
import { BENCH_MODEL } from './instant-upstream.ts'
import { type InstantUpstream, memoryPeakMb, processorSeconds, startInstantUpstream } from './processes.ts'

const REQUESTS = 100_000
const REQUEST_BYTES = 1024
const CONCURRENCY = 64
/** How often the batch is asked for its counts. */
const SAMPLE_MS = 50

export async function benchDispatch(options: BenchOptions): Promise<Measured> {
  const requests = options.requests ?? REQUESTS
  const sandbox = createSandbox()
  const upstream = await startInstantUpstream()
  try {
    const file = sandbox.path('requests.jsonl')
    options.say(`dispatch: writing ${requests} requests of ${REQUEST_BYTES} bytes`)
    await writeLargeFile(file, { count: requests, lineBytes: REQUEST_BYTES, model: BENCH_MODEL })
    options.say('dispatch: measuring the floor')
    const floor = await measureFloor(file, upstream)
    options.say('dispatch: running the batch')
    const served = await measureServer({ file, requests, sandbox, upstream })
    return {
      requests,
      durableResultsPerSecond: served.perSecond,
      serverMemoryPeakMb: served.memoryPeakMb,
      serverMemoryAtStartMb: served.memoryAtStartMb,
      serverMemoryPeakUploadMb: served.memoryPeakUploadMb,
      serverCpuMicrosPerRequest: (served.cpuSeconds / requests) * 1e6,
      uploadSeconds: served.uploadSeconds,
      validationSeconds: served.validationSeconds,
      runSeconds: served.runSeconds,
      upstreamCallsPerRequest: served.calls / requests,
      floorRequestsPerSecond: floor.requests / floor.seconds,
      floorCpuMicrosPerRequest: (floor.cpuSeconds / floor.requests) * 1e6,
      ratioToFloor: served.perSecond / (floor.requests / floor.seconds),
    }
  } finally {
    await upstream.stop()
    sandbox.remove()
  }
}

/** Guess: enough bodies for a steady rate without holding a million in memory. */
const FLOOR_REQUESTS_MAX = 100_000

async function measureFloor(file: string, upstream: InstantUpstream): Promise<SenderReport> {
  const sender = new URL('bare-sender.ts', import.meta.url).pathname
  const words = [sender, file, upstream.origin, String(CONCURRENCY), String(FLOOR_REQUESTS_MAX)]
  const { stdout, stderr, exitCode } = await run(process.execPath, words)
  if (exitCode !== 0) throw new Error(`the floor could not be measured: ${stderr}`)
  return JSON.parse(stdout) as SenderReport
}

type Served = {
  perSecond: number
  memoryPeakMb: number
  /** Before the upload, and at its end. */
  memoryAtStartMb: number
  memoryPeakUploadMb: number
  cpuSeconds: number
  uploadSeconds: number
  validationSeconds: number
  runSeconds: number
  calls: number
}

async function measureServer(parts: {
  file: string
  requests: number
  sandbox: ReturnType<typeof createSandbox>
  upstream: InstantUpstream
}): Promise<Served> {
  const { sandbox, upstream, requests } = parts
  const flags = configFlags(sandbox, { url: `${upstream.origin}/v1`, concurrency: CONCURRENCY })
  const server = await startServerProcess(sandbox, flags)
  try {
    const callsBefore = await upstream.answered()
    const memoryAtStartMb = memoryPeakMb(server.pid)
    const uploadedAt = performance.now()
    const inputFileId = await uploadFile(server.url, parts.file)
    const createdAt = performance.now()
    const memoryPeakUploadMb = memoryPeakMb(server.pid)
    const cpuBefore = processorSeconds(server.pid)
    const { startedAt, endedAt, perSecond } = await runBatch(server.url, { inputFileId, requests })
    return {
      perSecond,
      memoryPeakMb: memoryPeakMb(server.pid),
      memoryAtStartMb,
      memoryPeakUploadMb,
      cpuSeconds: processorSeconds(server.pid) - cpuBefore,
      uploadSeconds: (createdAt - uploadedAt) / 1000,
      validationSeconds: (startedAt - createdAt) / 1000,
      runSeconds: (endedAt - startedAt) / 1000,
      calls: (await upstream.answered()) - callsBefore,
    }
  } finally {
    await server.stop()
  }
}

/** @returns the rate from the first moment in which the batch was seen at work to its end. */
async function runBatch(
  url: string,
  wanted: { inputFileId: string; requests: number },
): Promise<{ startedAt: number; endedAt: number; perSecond: number }> {
  const created = await createBatch(url, wanted.inputFileId)
  let startedAt = Number.NaN
  let doneAtStart = 0
  for (;;) {
    const batch = await getBatch(url, created.id)
    const now = performance.now()
    const { completed } = batch.request_counts
    if (Number.isNaN(startedAt) && batch.status !== 'validating') {
      startedAt = now
      doneAtStart = completed
    }
    if (batch.status === 'completed') {
      if (completed !== wanted.requests) throw new Error(`only ${completed} of ${wanted.requests} succeeded`)
      return { startedAt, endedAt: now, perSecond: ((completed - doneAtStart) / (now - startedAt)) * 1000 }
    }
    if (batch.status === 'failed') throw new Error(`the batch failed: ${JSON.stringify(batch)}`)
    await delay(SAMPLE_MS)
  }
}
