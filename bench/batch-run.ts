/** The life of a batch as a client sees it: created, watched, ended. */
import { setTimeout as delay } from 'node:timers/promises'
import { ask, type WireBatch } from '../test/kit/batch-api.ts'

/** How often the batch is asked for its counts. */
const SAMPLE_MS = 50

/** In flight at the upstream, unless a benchmark is about just that. */
export const CONCURRENCY = 64
export const REQUEST_BYTES = 1024

export type Headers = Readonly<Record<string, string>>

export function createBatchAs(url: string, inputFileId: string, headers: Headers = {}): Promise<WireBatch> {
  return ask(`${url}/v1/batches`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      input_file_id: inputFileId,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    }),
  })
}

export type BatchRun = {
  batch: WireBatch
  perSecond: number
  /** From the reply to the create to the first look at which the batch was at work. */
  validationSeconds: number
  runSeconds: number
}

/** Creates the batch and watches it end. The rate counts from the first moment in which it was seen at work. */
export async function runBatch(
  url: string,
  wanted: { inputFileId: string; requests: number; onLook?: (batch: WireBatch) => Promise<void> | void },
): Promise<BatchRun> {
  const created = await createBatchAs(url, wanted.inputFileId)
  const createdAt = performance.now()
  let startedAt = Number.NaN
  let doneAtStart = 0
  for (;;) {
    const batch = await ask<WireBatch>(`${url}/v1/batches/${created.id}`)
    const now = performance.now()
    const { completed } = batch.request_counts
    if (Number.isNaN(startedAt) && batch.status !== 'validating') {
      startedAt = now
      doneAtStart = completed
    }
    if (batch.status === 'completed') {
      if (completed !== wanted.requests) throw new Error(`only ${completed} of ${wanted.requests} succeeded`)
      const runSeconds = (now - startedAt) / 1000
      // A batch that had ended at the first look is all the time there is.
      const seconds = runSeconds > 0 ? runSeconds : (now - createdAt) / 1000
      const counted = runSeconds > 0 ? completed - doneAtStart : completed
      const validationSeconds = (startedAt - createdAt) / 1000
      return { batch, perSecond: counted / seconds, validationSeconds, runSeconds: seconds }
    }
    if (batch.status === 'failed') throw new Error(`the batch failed: ${JSON.stringify(batch)}`)
    await wanted.onLook?.(batch)
    await delay(SAMPLE_MS)
  }
}

/** Looks until `isTrue` is. @throws when that takes longer than `withinMs` */
export async function until(
  isTrue: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 600_000,
): Promise<void> {
  const giveUpAt = performance.now() + withinMs
  while (!(await isTrue())) {
    if (performance.now() > giveUpAt) throw new Error(`waited in vain for ${what}`)
    await delay(SAMPLE_MS)
  }
}

/** One figure of `/metrics`, NaN when it is not there. */
export async function metricOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
}
