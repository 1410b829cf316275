/** How long does the smallest batch take, from its create to results that are read? Each is asked for without a pause until it ends. */
import { ask, type WireBatch } from '../test/kit/batch-api.ts'
import { CONCURRENCY, createBatchAs, REQUEST_BYTES } from './batch-run.ts'
import type { Benchmark } from './benchmark.ts'
import { median, percentile } from './figures.ts'
import { download, upload } from './transfer.ts'

/** The first ones compile code and open connections. */
const WARM_UP = 5

export const latency: Benchmark = {
  name: 'latency',
  does: 'creates batches of one request, one after the other, and waits for the results of each',
  unit: 'batches',
  full: { size: 200, rounds: 3 },
  smoke: { size: 5, rounds: 1 },
  rows: [
    { figure: 'totalP50Ms', means: 'create to results read, P50', unit: 'ms', target: { atMost: 50 } },
    { figure: 'totalP99Ms', means: 'create to results read, P99', unit: 'ms', target: null },
  ],
  async *measure({ size, rounds, world }) {
    const upstream = await world.startUpstream()
    const { url } = await world.startServer({ upstream, concurrency: CONCURRENCY })
    const { id } = await upload(`${url}/v1/files`, await world.requestFile(1, REQUEST_BYTES))
    for (let round = 0; round < rounds; round += 1) {
      const creates: number[] = []
      const totals: number[] = []
      for (let number = 0; number < size + WARM_UP; number += 1) {
        const { createMs, totalMs } = await timeOfOne(url, id)
        if (number < WARM_UP) continue
        creates.push(createMs)
        totals.push(totalMs)
      }
      yield {
        createP50Ms: median(creates),
        totalP50Ms: median(totals),
        totalP99Ms: percentile(totals, 0.99),
      }
    }
  },
}

async function timeOfOne(url: string, fileId: string): Promise<{ createMs: number; totalMs: number }> {
  const startedAt = performance.now()
  const created = await createBatchAs(url, fileId)
  const createMs = performance.now() - startedAt
  for (;;) {
    const batch = await ask<WireBatch>(`${url}/v1/batches/${created.id}`)
    if (batch.status === 'failed') throw new Error(`the batch failed: ${JSON.stringify(batch)}`)
    if (batch.status !== 'completed') continue
    const { bytes } = await download(`${url}/v1/files/${batch.output_file_id}/content`)
    if (bytes === 0) throw new Error('the results of a completed batch are empty')
    return { createMs, totalMs: performance.now() - startedAt }
  }
}
