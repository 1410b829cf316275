/**
 * Usage, analytics and cost beside a recount from the files that the server gives out, over random histories: several batches of
 * several models and windows, failures, answers without usage, cancels, retries, prices that change, and SIGKILLs in between.
 *
 * DW_RECOUNT_SEED replays a history, DW_RECOUNT_STEPS makes it longer.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createSeededRandom, type Random } from '../src/lib/random.ts'
import { ask, batchWhen, createBatch, endedStatuses, uploadFile, type WireBatch } from './kit/batch-api.ts'
import { amountOf, callsOf, type Recounted, recount, type SetPrice } from './kit/recount.ts'
import { chatLine, jsonl } from './kit/requests.ts'
import { type RecordedCall, type Reply, startScriptedUpstream } from './kit/scripted-upstream.ts'
import { configFlags, createSandbox, type ServerProcess, startServerProcess } from './kit/server-process.ts'

const seed = Number(process.env.DW_RECOUNT_SEED ?? Math.floor(Math.random() * 2 ** 31))
const STEPS = Number(process.env.DW_RECOUNT_STEPS ?? 10)
const LINES_MAX = 60
const models = ['small', 'large', 'unpriced']
const windows = ['24h', '1h']
const TAG = 'project'
/** What each of these has to be met by in any history. */
const counts = ['succeeded', 'failed', 'expired', 'cancelled', 'usage_unknown'] as const
const tokens = ['prompt_tokens', 'cached_tokens', 'completion_tokens', 'reasoning_tokens'] as const

const sandbox = createSandbox()
const upstream = await startScriptedUpstream({ models, script: answer, keepsBodies: true })
after(async () => {
  await upstream.stop()
  sandbox.remove()
})

/** Drawn from the request alone, so that a call that is made again is answered as before. */
function answer(call: RecordedCall): Reply {
  const random = createSeededRandom(Number.parseInt(call.bodyHash.slice(0, 8), 16))
  const draw = random.float()
  const gate = delay(random.float() * 12)
  if (draw < 0.1) return { gate, status: 400, body: { error: { message: 'no', code: 'refused' } } }
  if (draw < 0.15 && call.attempt === 0)
    return { gate, status: 429, headers: { 'retry-after-ms': '5' }, body: {} }
  const body = {
    id: `chatcmpl-${call.bodyHash.slice(0, 8)}`,
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: 'yes' }, finish_reason: 'stop' }],
  }
  if (draw < 0.25) return { gate, body }
  const some = (most: number): number => Math.floor(random.float() * most)
  const [prompt_tokens, completion_tokens] = [some(2_000), some(900)]
  // A cache that claims more than was read, now and then.
  const cached_tokens = some(10) === 0 ? prompt_tokens + 7 : some(prompt_tokens + 1)
  const usage = {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens },
    completion_tokens_details: { reasoning_tokens: some(completion_tokens + 1) },
  }
  return { gate, body: { ...body, usage } }
}

type Own = WireBatch & {
  completion_window: string
  metadata: Record<string, string> | null
  created_at: number
}

/** A server, what was set on it, and what was made. */
class History {
  readonly random: Random
  readonly steps: string[] = []
  readonly batchIds: string[] = []
  /** By batch, model and window: the prices that held when it was created. */
  readonly held = new Map<string, Map<string, SetPrice>>()
  readonly prices = new Map<string, SetPrice>()
  server: ServerProcess
  readonly #flags: readonly string[]

  constructor(server: ServerProcess, flags: readonly string[], random: Random) {
    this.server = server
    this.random = random
    this.#flags = flags
  }

  below(most: number): number {
    return Math.floor(this.random.float() * most)
  }

  one<T>(of: readonly T[]): T {
    // The lists are not empty.
    return of[this.below(of.length)] as T
  }

  ownerToken(): string {
    return readFileSync(join(sandbox.dataDir, 'owner-token'), 'utf8').trim()
  }

  async create(): Promise<void> {
    const lines = Array.from({ length: 5 + this.below(LINES_MAX) }, (_, number) =>
      chatLine(number, {
        model: this.one(models),
        content: `${this.batchIds.length} ${number} ${this.below(1e9)}`,
      }),
    )
    const path = sandbox.path('requests.jsonl')
    writeFileSync(path, jsonl(lines))
    const fileId = await uploadFile(this.server.url, path)
    const tag = this.one(['red', 'blue', null])
    this.keep(
      await createBatch(this.server.url, fileId, {
        completion_window: this.one(windows),
        ...(tag !== null && { metadata: { [TAG]: tag } }),
      }),
    )
  }

  keep({ id }: WireBatch): void {
    if (this.held.has(id)) return
    this.batchIds.push(id)
    this.held.set(id, new Map(this.prices))
  }

  async price(): Promise<void> {
    const [model, window] = [this.one(['small', 'large']), this.one(windows)]
    const amount = (): string => `${this.below(3)}.${String(this.below(1_000_000)).padStart(6, '0')}`
    const price =
      this.below(5) === 0 ? null : { input: amount(), cached: this.one([null, amount()]), output: amount() }
    await ask(`${this.server.url}/admin/v1/prices`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.ownerToken()}` },
      body: JSON.stringify({
        prices: [
          {
            model,
            window,
            input_per_million: price?.input ?? null,
            cached_input_per_million: price?.cached ?? null,
            output_per_million: price?.output ?? null,
          },
        ],
      }),
    })
    this.prices.set(`${model} ${window}`, price)
  }

  /** Answers that a running batch refuses are none of this test. */
  async act(what: 'cancel' | 'retry'): Promise<void> {
    if (this.batchIds.length === 0) return
    const id = this.one(this.batchIds.slice(-3))
    const reply = await fetch(`${this.server.url}/v1/batches/${id}/${what}`, { method: 'POST' })
    const text = await reply.text()
    // What a retry made is a batch like any other.
    if (reply.ok && what === 'retry') this.keep(JSON.parse(text) as WireBatch)
  }

  async kill(): Promise<void> {
    const calls = upstream.calls.length + this.below(12)
    const isReached = ({ status }: WireBatch): boolean =>
      endedStatuses.has(status) || upstream.calls.length > calls
    const last = this.batchIds.at(-1)
    if (last !== undefined) await batchWhen(this.server.url, last, isReached)
    await this.server.kill('SIGKILL')
    this.server = await startServerProcess(sandbox, this.#flags)
  }

  async step(): Promise<void> {
    const draw = this.below(100)
    const kinds: [number, string, () => Promise<void>][] = [
      [35, 'create', () => this.create()],
      [60, 'price', () => this.price()],
      [72, 'cancel', () => this.act('cancel')],
      [88, 'retry', () => this.act('retry')],
      [100, 'kill', () => this.kill()],
    ]
    const kind = kinds.find(([below]) => draw < below)
    this.steps.push(kind?.[1] ?? '')
    await kind?.[2]()
  }
}

type UsageGroup = { by: Record<string, string | null>; cost: string | null; calls: number } & Record<
  (typeof counts)[number] | (typeof tokens)[number],
  number
>
type Analytics = {
  requests: { completed: number; failed: number; expired: number; cancelled: number }
  tokens: { prompt: number; cached: number; completion: number; reasoning: number; usage_unknown: number }
  attempts: { calls: number }
  models: { model: string; cost: string | null; prompt_tokens: number; completion_tokens: number }[]
  total_cost: string | null
}

/** Sums of rows, with the cost as a decimal; a row without a price takes it away if any of it was answered. */
function sumOf(rows: readonly Recounted[]) {
  const add = (name: (typeof counts)[number] | (typeof tokens)[number]): number =>
    rows.reduce((sum, row) => sum + row[name], 0)
  const isPriced = rows.every(({ picos, succeeded, failed }) => picos !== null || succeeded + failed === 0)
  return {
    ...Object.fromEntries([...counts, ...tokens].map((name) => [name, add(name)])),
    cost: isPriced ? amountOf(rows.reduce((sum, { picos }) => sum + (picos ?? 0n), 0n)) : null,
  }
}

function told(group: UsageGroup): ReturnType<typeof sumOf> {
  const names = [...counts, ...tokens]
  return { ...Object.fromEntries(names.map((name) => [name, group[name]])), cost: group.cost }
}

/** Usage, summed in every way, is what the files hold. */
async function checkUsage(url: string, rows: readonly Recounted[], why: string): Promise<void> {
  const ways: Record<string, (row: Recounted) => string> = {
    model: ({ model }) => model,
    batch: ({ batchId }) => batchId,
    'model,window': ({ model, window }) => `${model} ${window}`,
    [`tag:${TAG}`]: ({ tag }) => tag ?? 'null',
    [`metadata:${TAG},window`]: ({ tag, window }) => `${tag} ${window}`,
  }
  for (const [by, nameOf] of Object.entries(ways)) {
    const { data, total } = await ask<{ data: UsageGroup[]; total: UsageGroup }>(`${url}/v1/usage?by=${by}`)
    const counted = rows.filter((row) => counts.some((name) => row[name] > 0))
    const expected = Map.groupBy(counted, nameOf)
    const groups = new Map(
      data.map((group) => [
        by
          .split(',')
          .map((name) => String(group.by[name]))
          .join(' '),
        group,
      ]),
    )
    assert.deepEqual([...groups.keys()].toSorted(), [...expected.keys()].toSorted(), why)
    for (const [name, group] of groups)
      assert.deepEqual(told(group), sumOf(expected.get(name) ?? []), `${why}, by ${by}: ${name}`)
    assert.deepEqual(told(total), sumOf(counted), why)
  }
}

function checkAnalytics(analytics: Analytics, rows: readonly Recounted[], why: string): void {
  const { requests, tokens: counted } = analytics
  const sum = sumOf(rows)
  assert.deepEqual(
    {
      succeeded: requests.completed,
      failed: requests.failed,
      expired: requests.expired,
      cancelled: requests.cancelled,
      usage_unknown: counted.usage_unknown,
      prompt_tokens: counted.prompt,
      cached_tokens: counted.cached,
      completion_tokens: counted.completion,
      reasoning_tokens: counted.reasoning,
    },
    withoutCost(sum),
    why,
  )
  for (const share of analytics.models) {
    const own = rows.filter(({ model }) => model === share.model)
    const isPriced = own.every(({ picos }) => picos !== null)
    const cost = isPriced ? amountOf(own.reduce((total, { picos }) => total + (picos ?? 0n), 0n)) : null
    assert.equal(share.cost, cost, `${why}: ${share.model}`)
    assert.equal(
      share.prompt_tokens,
      own.reduce((total, row) => total + row.prompt_tokens, 0),
      why,
    )
  }
}

function withoutCost({ cost: _cost, ...rest }: ReturnType<typeof sumOf>): object {
  return rest
}

test('R33: usage, analytics and cost are those of the files, whatever happened to the server', async (t) => {
  t.diagnostic(`seed ${seed}`)
  const flags = configFlags(sandbox, { url: upstream.url, concurrency: 8 })
  const random = createSeededRandom(seed)
  const history = new History(await startServerProcess(sandbox, flags), flags, random)
  t.after(() => history.server.kill('SIGKILL'))
  await history.create()
  for (let step = 0; step < STEPS; step += 1) await history.step()
  await history.create()
  await history.kill()
  const { url } = history.server
  const why = `seed ${seed}: ${history.steps.join(' ')}`

  const rows: Recounted[] = []
  let calls = 0
  for (const id of history.batchIds) {
    await batchWhen(url, id, ({ status }) => endedStatuses.has(status))
    const batch = await ask<Own>(`${url}/v1/batches/${id}`)
    const own = await recount(url, batch, {
      tag: TAG,
      priceAt: (batchId, model, window) => history.held.get(batchId)?.get(`${model} ${window}`) ?? null,
    })
    const analytics = await ask<Analytics>(`${url}/v1/batches/${id}/analytics`)
    checkAnalytics(analytics, own, `${why}, ${id}`)
    const ownCalls = await callsOf(url, id)
    assert.equal(analytics.attempts.calls, ownCalls, why)
    calls += ownCalls
    rows.push(...own)
  }
  await checkUsage(url, rows, why)
  const { total } = await ask<{ total: UsageGroup }>(`${url}/v1/usage`)
  assert.equal(total.calls, calls, why)
  const named = history.batchIds.map((id) => `batch=${id}`).join('&')
  checkAnalytics(await ask<Analytics>(`${url}/v1/analytics?${named}`), rows, why)
  t.diagnostic(
    `${history.batchIds.length} batches, ${rows.length} rows, ${calls} calls: ${history.steps.join(' ')}`,
  )
})
