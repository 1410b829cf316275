/**
 * How long after its start does a server that was killed in the midst of a batch make its first new call? The upstream falls silent
 * when half of the requests are answered, the server is killed (`SIGKILL`) and started again on the same data, a few times over.
 */
import { CONCURRENCY, createBatchAs, REQUEST_BYTES, until } from './batch-run.ts'
import type { Benchmark, BenchOptions } from './benchmark.ts'
import { memoryPeakMb } from './processes.ts'
import { upload } from './transfer.ts'

export const resume: Benchmark = {
  name: 'resume',
  does: 'kills a server whose batch is half done, and starts it again',
  unit: 'requests',
  full: { size: 1_000_000, rounds: 5 },
  smoke: { size: 1_000, rounds: 1 },
  rows: [
    {
      figure: 'firstCallSeconds',
      means: 'start of the process to first new call',
      unit: 's',
      target: { atMost: 2 },
      floor: 'emptyStartSeconds',
    },
  ],
  async *measure(options) {
    const { size, rounds, world, say } = options
    const upstream = await world.startUpstream()
    await upstream.set({ answersMax: Math.floor(size / 2) })
    let server = await world.startServer({ upstream, concurrency: CONCURRENCY })
    const sent = await upload(`${server.url}/v1/files`, await world.requestFile(size, REQUEST_BYTES))
    await createBatchAs(server.url, sent.id)
    await until(async () => (await upstream.report()).answered >= Math.floor(size / 2), 'half of the answers')
    for (let round = 0; round < rounds; round += 1) {
      await server.kill()
      await upstream.mark()
      const startedAt = Date.now()
      server = await world.startServer({ upstream, concurrency: CONCURRENCY, sandbox: server.sandbox })
      const readyAt = Date.now()
      let firstCallAt: number | null = null
      await until(async () => {
        firstCallAt = (await upstream.report()).firstCallAt
        return firstCallAt !== null
      }, 'the first new call')
      const firstCallSeconds = ((firstCallAt ?? Number.NaN) - startedAt) / 1000
      say(`first new call ${firstCallSeconds} s after the start`)
      yield {
        firstCallSeconds,
        readySeconds: (readyAt - startedAt) / 1000,
        emptyStartSeconds: await emptyStartSeconds(options),
        memoryPeakMb: memoryPeakMb(server.pid),
      }
    }
  },
}

/** A server without data, from the start of its process to its address. */
async function emptyStartSeconds({ world }: BenchOptions): Promise<number> {
  const upstream = await world.startUpstream()
  const startedAt = Date.now()
  const server = await world.startServer({ upstream, concurrency: CONCURRENCY })
  const seconds = (Date.now() - startedAt) / 1000
  await server.stop()
  await upstream.stop()
  return seconds
}
