/**
 * Counts the samples of an upload with the tokenisers of its models, in a thread that lives while there is something to count and a
 * little longer: its tables would be most of the memory of a quiet server. A count that fails costs a good estimate, never an upload.
 */
import type { ModelShare } from '../domain/file.ts'
import type { LineSample } from '../jsonl/line-sample.ts'
import { startWorker, type WorkerClient, workerUrl } from '../lib/worker-channel.ts'
import type { CountCall } from './token-worker.ts'

/** Guess: uploads of one sitting follow each other faster than this. Loading the tables takes a quarter of a second (measured). */
const IDLE_MS = 10_000
/** Guess: files whose samples, up to 2 MiB each, wait at a time; those beyond are estimated without a tokeniser. */
const WAITING_MAX = 16

export type TokenCounter = {
  /** @returns the shares, with `counted` where a tokeniser is known for the model and has seen lines of it */
  count(shares: readonly ModelShare[], samples: readonly LineSample[]): Promise<readonly ModelShare[]>
  stop(): Promise<void>
}

export function createTokenCounter(): TokenCounter {
  let worker: WorkerClient | null = null
  let waiting = 0
  let idle: NodeJS.Timeout | undefined

  const end = async (): Promise<void> => {
    const ended = worker
    worker = null
    await ended?.stop()
  }
  const start = (): WorkerClient => {
    const started = startWorker(workerUrl(import.meta.url, 'token-worker'), {
      data: null,
      onDeath: () => {
        if (worker === started) worker = null
      },
    })
    return started
  }
  return {
    async count(shares, samples) {
      if (samples.length === 0 || waiting >= WAITING_MAX) return shares
      clearTimeout(idle)
      waiting += 1
      try {
        worker ??= start()
        const call: CountCall = { shares, samples }
        return await worker.call<ModelShare[]>('count', call)
      } catch {
        // The estimate then rests on bytes, and says so.
        return shares
      } finally {
        waiting -= 1
        if (waiting === 0) idle = setTimeout(() => void end(), IDLE_MS).unref()
      }
    },
    stop() {
      clearTimeout(idle)
      return end()
    },
  }
}
