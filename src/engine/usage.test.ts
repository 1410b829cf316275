import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { openRig, type PlannedAnswer, TENANT } from '../../test/kit/service-rig.ts'
import type { UsageQuery, UsageReport } from '../domain/figures.ts'
import { costPicos, decimalOf, picosOf, priceOf } from '../domain/price.ts'
import { HOUR_MS } from '../domain/usage.ts'
import { createSeededRandom } from '../lib/random.ts'

const MODELS = ['large', 'small', 'free'] as const
const price = {
  window: '24h',
  inputPerMillion: '0.15',
  cachedInputPerMillion: '0.075',
  outputPerMillion: '0.6',
}
const rules = [
  { ...price, model: 'large' },
  { ...price, model: 'small', cachedInputPerMillion: null },
]
const rig = await openRig({ prices: rules })
after(() => rig.close())
const random = createSeededRandom(20)
const pick = <T>(from: readonly T[]): T => from[Math.floor(random.float() * from.length)] as T
const upTo = (most: number): number => Math.floor(random.float() * (most + 1))

/** All there is, from the first hour to the last. */
const everything = { sinceAt: 0, untilAt: 4e12, bucketMs: null }
const report = (query: Partial<UsageQuery> = {}): Promise<UsageReport> =>
  rig.service.usage(TENANT, { ...everything, by: [], ...query })

const keys = ['key_a', 'key_b', null]
const batches: string[] = []
const ends = ['succeeded', 'succeeded', 'failed', 'expired', 'cancelled'] as const

/** A batch with random lines, some of whose ends come hours later. @returns its id */
async function randomBatch(): Promise<string> {
  const lines = 1 + upTo(12)
  const models = Array.from({ length: lines }, () => pick(MODELS))
  const input = await rig.upload(jsonl(models.map((model, number) => chatLine(number, { model }))))
  const metadata = random.float() < 0.5 ? { team: pick(['red', 'blue']) } : null
  const { id } = await rig.create(input.id, { keyId: pick(keys), metadata })
  for (let lineIndex = 0; lineIndex < lines; lineIndex += 1) {
    rig.clock.advance(upTo(HOUR_MS / 2))
    const outcome = pick(ends)
    const promptTokens = upTo(5_000)
    const answer: PlannedAnswer = { lineIndex, outcome, attempts: upTo(3), upstreamNumber: upTo(2) }
    if (outcome === 'succeeded' && random.float() < 0.9)
      answer.usage = {
        promptTokens,
        cachedTokens: upTo(promptTokens),
        completionTokens: upTo(900),
        reasoningTokens: upTo(20),
      }
    else if (outcome === 'succeeded') answer.usage = null
    await rig.answer(id, [answer])
  }
  return id
}

for (const name of ['first', 'second', 'third']) await rig.store.upstreams.numberOf(name)
for (let number = 0; number < 25; number += 1) {
  const id = await randomBatch()
  batches.push(id)
  // The rest stays live: its lines count all the same.
  if (random.float() < 0.7) await rig.end(id, pick(['completed', 'expired', 'cancelled'] as const))
}

/** Line by line, from the records and the input itself. */
async function recount() {
  const sum = { lines: 0, succeeded: 0, failed: 0, calls: 0, prompt: 0, completion: 0, unknown: 0 }
  const picosByModel = new Map<string, bigint>()
  for (const id of batches) {
    const batch = await rig.store.batches.get(id, null)
    assert.ok(batch !== null)
    const input = (await rig.read(batch.inputFileId)).trimEnd().split('\n')
    for await (const page of rig.results.records(batch.seq)) {
      for (const record of page) {
        const { model } = (JSON.parse(input[record.lineIndex] ?? '') as { body: { model: string } }).body
        sum.lines += 1
        if (record.outcome === 'succeeded') sum.succeeded += 1
        if (record.outcome === 'failed') sum.failed += 1
        if (record.outcome === 'succeeded' && record.usage === null) sum.unknown += 1
        sum.calls += record.attempts
        sum.prompt += record.usage?.promptTokens ?? 0
        sum.completion += record.usage?.completionTokens ?? 0
        const rule = priceOf(rules, model, batch.window)
        if (rule === null || record.usage === null) continue
        picosByModel.set(model, (picosByModel.get(model) ?? 0n) + costPicos(rule, record.usage))
      }
    }
  }
  return { sum, picosByModel }
}

const add = (groups: UsageReport['groups'], field: 'promptTokens' | 'completionTokens' | 'calls'): number =>
  groups.reduce((total, group) => total + group[field], 0)

test('R33: totals of usage are those of the requests, however they are grouped', async () => {
  const { sum, picosByModel } = await recount()
  assert.ok(sum.lines > 50 && sum.unknown > 0)
  const [all, ...none] = (await report()).groups
  assert.deepEqual(none, [])
  assert.equal(all?.succeeded, sum.succeeded)
  assert.equal(all?.failed, sum.failed)
  assert.equal(
    (all?.succeeded ?? 0) + (all?.failed ?? 0) + (all?.expired ?? 0) + (all?.cancelled ?? 0),
    sum.lines,
  )
  assert.equal(all?.usageUnknown, sum.unknown)
  // One of the models has no price, so the whole has none: unknown is not zero.
  assert.deepEqual([all?.cost, all?.isPriced], [null, false])
  const groupings = [
    ['model'],
    ['upstream'],
    ['window'],
    ['key'],
    ['batch'],
    ['tag:team'],
    ['model', 'key', 'tag:team'],
  ]
  for (const by of groupings) {
    for (const bucketMs of [null, HOUR_MS, 24 * HOUR_MS]) {
      const { groups } = await report({ by, bucketMs })
      assert.equal(add(groups, 'promptTokens'), sum.prompt, by.join())
      assert.equal(add(groups, 'completionTokens'), sum.completion, by.join())
      assert.equal(add(groups, 'calls'), sum.calls, by.join())
    }
  }
  const byModel = (await report({ by: ['model'], bucketMs: HOUR_MS })).groups
  for (const model of ['large', 'small']) {
    const picos = byModel
      .filter(({ by }) => by.model === model)
      .reduce((total, { cost }) => total + (picosOf(cost ?? '') ?? 0n), 0n)
    assert.equal(decimalOf(picos), decimalOf(picosByModel.get(model) ?? 0n), 'to the last unit')
  }
  assert.ok(byModel.some(({ by, cost }) => by.model === 'free' && cost === null))
})

test('the sums of neighbouring spans are those of the whole', async () => {
  const first = (await report({ by: ['batch'], bucketMs: HOUR_MS })).groups
  const hours = first.map(({ bucketAt }) => bucketAt ?? 0).toSorted((a, b) => a - b)
  const middle = hours[Math.floor(hours.length / 2)] ?? 0
  const before = await report({ untilAt: middle })
  const after = await report({ sinceAt: middle })
  assert.ok(add(before.groups, 'calls') > 0 && add(after.groups, 'calls') > 0)
  assert.equal(
    add(before.groups, 'calls') + add(after.groups, 'calls'),
    add((await report()).groups, 'calls'),
  )
})

test('a batch is charged by the prices of the moment in which it was created', async () => {
  const start = async (): Promise<string> => {
    const input = await rig.upload(jsonl([chatLine(1, { model: 'repriced' })]))
    return (await rig.create(input.id)).id
  }
  const set = (inputPerMillion: string | null): Promise<void> => {
    rig.clock.advance(1)
    return rig.service.setPrices([
      {
        model: 'repriced',
        window: '24h',
        inputPerMillion,
        cachedInputPerMillion: null,
        outputPerMillion: inputPerMillion,
      },
    ])
  }
  const unpriced = await start()
  await set('1')
  const cheap = await start()
  await set('2')
  const dear = await start()
  await set(null)
  const withdrawn = await start()
  for (const id of [unpriced, cheap, dear, withdrawn]) {
    await rig.answer(id, [{ lineIndex: 0, outcome: 'succeeded' }])
    await rig.end(id, 'completed')
  }
  const costs = new Map((await report({ by: ['batch'] })).groups.map(({ by, cost }) => [by.batch, cost]))
  assert.deepEqual(
    [unpriced, cheap, dear, withdrawn].map((id) => costs.get(id)),
    [null, '0.00011', '0.00022', null],
  )
  assert.equal((await rig.service.analyse(TENANT, dear))?.cost, '0.00022')
  assert.deepEqual(
    rig.service.prices().filter(({ model }) => model === 'repriced'),
    [],
  )
})

test('another tenant has used nothing', async () => {
  assert.deepEqual((await rig.service.usage('tenant_other', { ...everything, by: ['batch'] })).groups, [])
})
