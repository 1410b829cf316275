/**
 * Where does the time of a request go? One batch at full speed, once watched by the system alone and once with V8's profiler: the
 * system says what a request costs, the profile how the main thread divides it. Together the parts are the whole.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { CONCURRENCY, REQUEST_BYTES, runBatch } from './batch-run.ts'
import type { Benchmark, BenchOptions, Measured, Row } from './benchmark.ts'
import { mainThreadShares, nowMicros, profileFlags } from './cpu-profile.ts'
import { processorSeconds, processorSecondsSince } from './processes.ts'
import { upload } from './transfer.ts'

type Part = { figure: string; means: string; isPart: (frame: Frame) => boolean }

type Frame = { functionName: string; url: string }

const inFile = (pattern: RegExp) => (frame: Frame) => pattern.test(frame.url)
/** Functions of the system's side of a socket; they have no file. */
const SENDS = /^write(v|Buffer|Latin1String|Utf8String)$/

/** The first that matches has the function. */
const parts: readonly Part[] = [
  {
    figure: 'collectorMicros',
    means: 'garbage collection',
    isPart: ({ functionName }) => functionName === '(garbage collector)',
  },
  {
    figure: 'systemMicros',
    means: 'system calls: sending, reading, waiting for events',
    isPart: ({ functionName, url }) =>
      functionName.startsWith('(') || (url === '' && SENDS.test(functionName)),
  },
  { figure: 'clientMicros', means: 'HTTP client', isPart: inFile(/node_modules\/undici/) },
  { figure: 'nodeMicros', means: "Node's sockets, timers, promises", isPart: inFile(/^node:/) },
  {
    figure: 'answerMicros',
    means: 'answer: judged, parsed for usage, made a result line',
    isPart: inFile(/\/engine\/(answer|result-line|recorder)\./),
  },
  {
    figure: 'callMicros',
    means: 'call: request line, headers, name of the line, permits',
    isPart: inFile(/\/engine\/(upstream|pace|latenc)|\/domain\/ids\./),
  },
  {
    figure: 'scheduleMicros',
    means: 'schedule: which line is next, read ahead',
    isPart: inFile(/\/engine\/|\/domain\/|\/lib\/(fifo|bag|bitmap)\./),
  },
  {
    figure: 'logMicros',
    means: 'result log: gathered, handed over, told to be durable',
    isPart: inFile(/\/results\/|worker-channel/),
  },
  {
    figure: 'otherMicros',
    means: 'everything else: routes, database, timers of the server',
    isPart: inFile(/./),
  },
]

const microsRow = (figure: string, means: string): Row => ({ figure, means, unit: 'µs', target: null })

export const breakdown: Benchmark = {
  name: 'breakdown',
  does: 'runs one batch at full speed and divides the processor time of a request',
  unit: 'requests',
  full: { size: 300_000, rounds: 1 },
  smoke: { size: 4_000, rounds: 1 },
  rows: [
    ...parts.map(({ figure, means }) => microsRow(figure, `main thread: ${means}`)),
    microsRow('mainMicros', 'main thread, together'),
    microsRow('threadsMicros', 'log, database and file threads, helpers of the collector'),
    microsRow('allMicros', 'all threads, together'),
  ],
  async *measure(options) {
    for (let round = 0; round < options.rounds; round += 1) yield await measureRound(options)
  },
}

async function measureRound(options: BenchOptions): Promise<Measured> {
  const plain = await measureRun(options, null)
  const folder = options.world.path('profiles')
  mkdirSync(folder)
  const profiled = await measureRun(options, folder)
  const shares = mainThreadShares(folder, profiled.span, partOf)
  const measured: Record<string, number> = {}
  for (const { figure } of parts) measured[figure] = (shares.get(figure) ?? 0) * plain.mainMicros
  return {
    ...measured,
    mainMicros: plain.mainMicros,
    threadsMicros: plain.allMicros - plain.mainMicros,
    allMicros: plain.allMicros,
  }
}

/** What the language brings along, JSON for example, has no file and belongs to who called it. */
function partOf(frame: Frame): string | null {
  return parts.find(({ isPart }) => isPart(frame))?.figure ?? null
}

async function measureRun({ size, world, say }: BenchOptions, profileFolder: string | null) {
  const upstream = await world.startUpstream()
  const sandbox = world.sandbox()
  if (profileFolder !== null) sandbox.env.NODE_OPTIONS = profileFlags(join(profileFolder))
  const server = await world.startServer({ upstream, concurrency: CONCURRENCY, sandbox })
  const sent = await upload(`${server.url}/v1/files`, await world.requestFile(size, REQUEST_BYTES))
  const before = processorSeconds(server.pid)
  const fromMicros = nowMicros()
  const { perSecond } = await runBatch(server.url, { inputFileId: sent.id, requests: size })
  const toMicros = nowMicros()
  const cpu = processorSecondsSince(server.pid, before)
  say(`${Math.round(perSecond)} durable results/s${profileFolder === null ? '' : ' under the profiler'}`)
  await server.stop()
  sandbox.remove()
  await upstream.stop()
  return {
    mainMicros: (cpu.main / size) * 1e6,
    allMicros: (cpu.all / size) * 1e6,
    span: { fromMicros, toMicros },
  }
}
