/**
 * Do the routes that people watch stay quick when the server has a long past and much to do? One batch by id and pages of the list,
 * asked one after the other, while a batch runs as fast as it can, and while it runs at half that rate.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ask } from '../test/kit/batch-api.ts'
import { CONCURRENCY, createBatchAs, REQUEST_BYTES, runBatch, until } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured } from './benchmark.ts'
import { percentile } from './figures.ts'
import type { BenchUpstream } from './processes.ts'
import { storeCopies } from './stored-batches.ts'
import { upload } from './transfer.ts'

/** Guess: about as often as a hundred people who watch their batches. */
const PAUSE_MS = 5
const LIST_LIMIT = 20
const SAMPLES_MAX = 1_000
const STORED_PER_SAMPLE = 100
/** The batch that runs meanwhile lasts longer than the questions. */
const REQUESTS_PER_STORED = 12
const REQUESTS_MIN = 20_000
const WARM_UP_ANSWERS = 2_000

export const api: Benchmark = {
  name: 'api',
  does: 'asks for batches and pages of batches while another batch runs',
  unit: 'batches stored',
  full: { size: 100_000, rounds: 3 },
  smoke: { size: 500, rounds: 1 },
  rows: [
    { figure: 'halfGetP99Ms', means: 'get, half rate, P99', unit: 'ms', target: { atMost: 10 } },
    { figure: 'halfListP99Ms', means: 'list, half rate, P99', unit: 'ms', target: { atMost: 10 } },
    { figure: 'fullGetP99Ms', means: 'get, full rate, P99', unit: 'ms', target: { atMost: 50 } },
    { figure: 'fullListP99Ms', means: 'list, full rate, P99', unit: 'ms', target: { atMost: 50 } },
    { figure: 'fullPerSecond', means: 'requests meanwhile, full rate', unit: '/s', target: null },
    { figure: 'halfPerSecond', means: 'requests meanwhile, half rate', unit: '/s', target: null },
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) yield await measureRound(options)
  },
}

async function measureRound({ size, world, say }: BenchOptions): Promise<Measured> {
  const upstream = await world.startUpstream()
  const sandbox = world.sandbox()
  const first = await world.startServer({ upstream, concurrency: CONCURRENCY, sandbox })
  const one = await upload(`${first.url}/v1/files`, await world.requestFile(1, REQUEST_BYTES))
  await runBatch(first.url, { inputFileId: one.id, requests: 1 })
  await first.stop()
  const ids = storeCopies(sandbox.dataDir, size)

  const { url, kill } = await world.startServer({ upstream, concurrency: CONCURRENCY, sandbox })
  const requests = Math.max(REQUESTS_MIN, size * REQUESTS_PER_STORED)
  const sent = await upload(`${url}/v1/files`, await world.requestFile(requests, REQUEST_BYTES))
  const idle = await askMany(url, { ids, samples: samplesOf(size) })
  const before = (await upstream.report()).answered
  await createBatchAs(url, sent.id)
  await until(async () => (await upstream.report()).answered >= before + WARM_UP_ANSWERS, 'the batch to run')
  const full = await meanwhile(upstream, () => askMany(url, { ids, samples: samplesOf(size) }))
  say(`full rate ${Math.round(full.perSecond)}/s`)
  await upstream.set({ perSecond: full.perSecond / 2 })
  const half = await meanwhile(upstream, () => askMany(url, { ids, samples: samplesOf(size) }))
  if ((await upstream.report()).answered >= before + requests) throw new Error('the batch ended too early')
  await kill()
  sandbox.remove()
  await upstream.stop()
  return {
    idleGetP99Ms: idle.getP99Ms,
    idleListP99Ms: idle.listP99Ms,
    halfPerSecond: half.perSecond,
    halfGetP99Ms: half.getP99Ms,
    halfListP99Ms: half.listP99Ms,
    fullPerSecond: full.perSecond,
    fullGetP99Ms: full.getP99Ms,
    fullListP99Ms: full.listP99Ms,
  }
}

function samplesOf(size: number): number {
  return Math.min(SAMPLES_MAX, Math.ceil(size / STORED_PER_SAMPLE))
}

type Answers = { getP99Ms: number; listP99Ms: number }

async function askMany(
  url: string,
  { ids, samples }: { ids: readonly string[]; samples: number },
): Promise<Answers> {
  const gets: number[] = []
  const lists: number[] = []
  const timed = async (path: string, into: number[]): Promise<void> => {
    const startedAt = performance.now()
    await ask(`${url}/v1/batches${path}`)
    into.push(performance.now() - startedAt)
  }
  for (let sample = 0; sample < samples; sample += 1) {
    const id = ids[Math.floor(Math.random() * ids.length)]
    await timed(`/${id}`, gets)
    await timed(`?limit=${LIST_LIMIT}&after=${id}`, lists)
    await delay(PAUSE_MS)
  }
  return { getP99Ms: percentile(gets, 0.99), listP99Ms: percentile(lists, 0.99) }
}

async function meanwhile(
  upstream: BenchUpstream,
  act: () => Promise<Answers>,
): Promise<Answers & { perSecond: number }> {
  const before = (await upstream.report()).answered
  const startedAt = performance.now()
  const answers = await act()
  const seconds = (performance.now() - startedAt) / 1000
  return { ...answers, perSecond: ((await upstream.report()).answered - before) / seconds }
}
