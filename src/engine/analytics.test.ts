import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { openRig, type PlannedAnswer, TENANT, withRig } from '../../test/kit/service-rig.ts'
import type { Batch } from '../domain/batch.ts'
import type { BatchAnalytics } from '../domain/figures.ts'
import { createAnalytics } from './analytics.ts'
import { Janitor } from './janitor.ts'

const price = { window: '24h', inputPerMillion: '1', cachedInputPerMillion: '0.5', outputPerMillion: '10' }
const prices = ['large', 'small'].map((model) => ({ ...price, model }))
const rig = await openRig({ prices })
after(() => rig.close())

async function analysed(id: string): Promise<BatchAnalytics> {
  const analytics = await rig.service.analyse(TENANT, id)
  assert.ok(analytics !== null)
  return analytics
}

async function batchOf(models: readonly string[], window = '24h'): Promise<Batch> {
  const input = await rig.upload(jsonl(models.map((model, number) => chatLine(number, { model }))))
  return rig.create(input.id, { window })
}

const succeeded = (lineIndex: number): PlannedAnswer => ({ lineIndex, outcome: 'succeeded' })

test('tokens, calls and times of a batch are exactly those of its records', async () => {
  const batch = await batchOf(Array.from({ length: 6 }, () => 'large'))
  await rig.answer(batch.id, [])
  const at = rig.clock.now()
  rig.clock.advance(10_000)
  await rig.answer(batch.id, [
    { ...succeeded(0), startedAt: at + 1_000, upstreamMs: 100, firstByteMs: 50, attempts: 3 },
    { ...succeeded(1), startedAt: at + 2_000, upstreamMs: 300, firstByteMs: 150 },
    { ...succeeded(2), usage: null, startedAt: at + 3_000, upstreamMs: 200, firstByteMs: 100 },
    {
      lineIndex: 3,
      outcome: 'failed',
      startedAt: at + 4_000,
      upstreamMs: 400,
      firstByteMs: 200,
      attempts: 2,
    },
    // Never called: it has no place in latencies and calls.
    { lineIndex: 4, outcome: 'failed', attempts: 0, httpStatus: 0, upstreamMs: 0, firstByteMs: 0 },
    { lineIndex: 5, outcome: 'expired' },
  ])
  await rig.end(batch.id, 'expired')
  const analytics = await analysed(batch.id)
  assert.deepEqual(analytics.requests, { total: 6, completed: 3, failed: 2, expired: 1, cancelled: 0 })
  assert.deepEqual(analytics.tokens, {
    prompt: 200,
    cached: 80,
    completion: 20,
    reasoning: 10,
    usageUnknown: 1,
  })
  // Lines 0, 1 and 2 each needed one call.
  assert.deepEqual(analytics.attempts, {
    calls: 7,
    retried: 3,
    wasted: 4,
    perLine: [
      { attempts: 0, lines: 2 },
      { attempts: 1, lines: 2 },
      { attempts: 2, lines: 1 },
      { attempts: 3, lines: 1 },
    ],
  })
  assert.deepEqual(
    analytics.errors.toSorted(
      (a, b) => (a.httpStatus ?? 0) - (b.httpStatus ?? 0) || (a.outcome < b.outcome ? -1 : 1),
    ),
    [
      { outcome: 'expired', httpStatus: null, lines: 1 },
      { outcome: 'failed', httpStatus: null, lines: 1 },
      { outcome: 'failed', httpStatus: 400, lines: 1 },
    ],
  )
  assert.deepEqual(analytics.latency.upstream, {
    mean: 250,
    p50: 200,
    p90: 400,
    p95: 400,
    p99: 400,
    max: 400,
  })
  assert.equal(analytics.latency.firstByte?.max, 200)
  assert.equal(analytics.latency.queue?.mean, 2_500)
  assert.equal(analytics.wallMs, 10_000)
  assert.equal(analytics.requestsPerSecond, 0.5)
  assert.equal(analytics.tokensPerSecond, 22)
  // 120 fresh and 80 cached input tokens, 20 output tokens.
  assert.equal(analytics.cost, '0.00036')
  assert.equal(analytics.isPriced, true)
  assert.equal(analytics.isSimulated, false)
})

test('a wait of weeks in the queue is told as long as it was', async () => {
  const batch = await batchOf(['large'])
  await rig.answer(batch.id, [])
  const at = rig.clock.now()
  await rig.answer(batch.id, [{ ...succeeded(0), startedAt: at + 30 * 86_400_000 }])
  assert.equal((await analysed(batch.id)).latency.queue?.p50, 30 * 86_400_000)
})

test('each model has its own lines, tokens and cost, and one without a price leaves the total without one', async () => {
  const models = Array.from(
    { length: 700 },
    (_, line) => ['large', 'small', 'free'][line % 7 === 0 ? 2 : line % 2],
  )
  const names = models.map((model) => model ?? '')
  const batch = await batchOf(names)
  await rig.answer(
    batch.id,
    names.map((_, lineIndex) => succeeded(lineIndex)),
  )
  const { models: shares, cost, isPriced } = await analysed(batch.id)
  const lines = (model: string): number => names.filter((name) => name === model).length
  assert.deepEqual(
    shares.map((share) => [share.model, share.lines, share.promptTokens, share.completionTokens]),
    ['free', 'small', 'large'].map((model) => [model, lines(model), lines(model) * 100, lines(model) * 10]),
  )
  assert.deepEqual([cost, isPriced, shares[0]?.cost], [null, false, null])
  assert.equal(Number(shares[2]?.cost), (lines('large') * (60 + 20 + 100)) / 1_000_000)
})

test('a price of another window is never used, and the simulated model has none', async () => {
  const hasty = await batchOf(['large'], '1h')
  await rig.answer(hasty.id, [succeeded(0)])
  assert.equal((await analysed(hasty.id)).cost, null)
  const simulated = await batchOf(['sim/echo', 'sim/other'])
  await rig.answer(simulated.id, [succeeded(0), succeeded(1)])
  const analytics = await analysed(simulated.id)
  assert.deepEqual([analytics.cost, analytics.isPriced, analytics.isSimulated], [null, false, true])
})

test('a live batch is analysed as far as it has come; an analysis that began before its end is none of its end', async () => {
  const batch = await batchOf(['large', 'large'])
  await rig.answer(batch.id, [succeeded(0)])
  rig.clock.advance(1_000)
  const before = await analysed(batch.id)
  assert.deepEqual([before.requests.completed, before.wallMs], [1, 1_000])
  await rig.answer(batch.id, [succeeded(1)])
  const [running] = await Promise.all([analysed(batch.id), analysed(batch.id)])
  assert.equal(running?.requests.completed, 2)
  await rig.end(batch.id, 'completed')
  rig.clock.advance(60_000)
  const ended = await analysed(batch.id)
  assert.equal(ended.wallMs, 1_000)
  assert.equal(await analysed(batch.id), ended)
})

test('those who ask while a batch is analysed share that analysis, unless the batch has ended since it began', async () => {
  const batch = await batchOf(['large', 'large'])
  await rig.answer(batch.id, [succeeded(0)])
  const running = await rig.service.getBatch(TENANT, batch.id)
  assert.ok(running !== null)
  const gate = Promise.withResolvers<void>()
  let passes = 0
  const results = {
    ...rig.results,
    async *recordPages(seq: number) {
      passes += 1
      const pages: Uint8Array[] = []
      for await (const page of rig.results.recordPages(seq)) pages.push(Uint8Array.from(page))
      await gate.promise
      yield* pages
    },
  }
  const { one: analyse } = createAnalytics({ ...rig, results, estimate: async () => null })
  const first = analyse(running)
  const second = analyse(running)
  await rig.answer(batch.id, [succeeded(1)])
  const last = analyse(await rig.end(batch.id, 'completed'))
  gate.resolve()
  assert.equal(await first, await second)
  assert.equal((await last).requests.completed, 2)
  assert.equal(passes, 2)
})

test('a batch that never ran has no figures', async () => {
  const batch = await batchOf(['large'])
  await rig.store.batches.fail(batch.id, { findings: [], findingsTotal: 1, at: rig.clock.now() })
  const analytics = await analysed(batch.id)
  assert.deepEqual(analytics.latency, { queue: null, firstByte: null, upstream: null, total: null })
  assert.deepEqual([analytics.throughput, analytics.estimate], [null, null])
  assert.deepEqual([analytics.wallMs, analytics.requestsPerSecond, analytics.attempts.calls], [null, null, 0])
})

test('analytics outlive the input: with one model they stay whole, with several the shares are unknown', async () => {
  const ended: Batch[] = []
  for (const models of [['large'], ['large', 'small']]) {
    const batch = await batchOf(models)
    await rig.answer(
      batch.id,
      models.map((_, lineIndex) => succeeded(lineIndex)),
    )
    ended.push(await rig.end(batch.id, 'completed'))
    await rig.service.deleteFile(TENANT, batch.inputFileId)
  }
  await new Janitor({ ...rig, onTrouble: assert.fail }).tidy()
  const [one, several] = await Promise.all(ended.map(({ id }) => analysed(id)))
  assert.deepEqual(one?.models, [
    { model: 'large', lines: 1, promptTokens: 100, completionTokens: 10, cost: '0.00018' },
  ])
  assert.deepEqual([several?.tokens.prompt, several?.models, several?.cost], [200, [], null])
})

test('an estimate counts every request, and has no total while one model has no price', () =>
  withRig({ prices }, async (rig) => {
    const lines = [chatLine(1, { model: 'large', content: 'x'.repeat(400) }), chatLine(2, { model: 'small' })]
    const file = await rig.upload(jsonl(lines))
    const estimate = await rig.service.estimateCost(TENANT, file.id, '24h')
    assert.equal(estimate?.totalRequests, 2)
    assert.equal(estimate?.models[0]?.inputTokens, 100)
    assert.equal(estimate?.models[0]?.outputTokens, 300)
    assert.equal(estimate?.models[0]?.cost, '0.0031')
    assert.equal(
      Number(estimate?.cost),
      estimate?.models.reduce((sum, { cost }) => sum + Number(cost), 0),
    )
    const hasty = await rig.service.estimateCost(TENANT, file.id, '1h')
    assert.deepEqual([hasty?.cost, hasty?.isPriced, hasty?.models[0]?.cost], [null, false, null])
    await assert.rejects(rig.service.estimateCost(TENANT, file.id, '2h'), { param: 'completion_window' })
    assert.equal(await rig.service.estimateCost('tenant_other', file.id, '24h'), null)
  }))
