/** Usage of the running server, beside a recount from what it gives out; also after kills. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { ask, batchWhen, createBatch, readContent, uploadFile } from './kit/batch-api.ts'
import { chatLine, jsonl, parseLines } from './kit/requests.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'
import { configFlags, createSandbox, runDw, startServerProcess } from './kit/server-process.ts'

const LINES = 400
const KILLED_AT = [120, 260]

const sandbox = createSandbox()
const upstream = await startScriptedUpstream({
  models: ['large', 'small'],
  script: ({ body }) =>
    body.includes('refuse me') ? { status: 400, body: { error: { message: 'no' } } } : null,
})
after(async () => {
  await upstream.stop()
  sandbox.remove()
})

const PRICES = `[[prices]]
model = "large"
window = "24h"
input_per_million = "0.15"
cached_input_per_million = "0.075"
output_per_million = "0.6"
`
const MICROS = 1e6

type Usage = {
  data: { by: Record<string, string | null>; requests: number; prompt_tokens: number; cost: string | null }[]
  total: Record<string, number>
}
type Answered = {
  custom_id: string
  response: { body: { usage: { prompt_tokens: number; completion_tokens: number } } }
}

test('R33: after kills, usage is the sum of the answers that the batch has', async (t) => {
  const requests = Array.from({ length: LINES }, (_, number) =>
    chatLine(number, {
      model: number % 3 === 0 ? 'small' : 'large',
      content: number % 10 === 0 ? 'refuse me' : `count ${'x'.repeat(number)}`,
    }),
  )
  writeFileSync(sandbox.path('requests.jsonl'), jsonl(requests))
  const flags = configFlags(sandbox, { url: upstream.url, concurrency: 4 }, PRICES)
  let server = await startServerProcess(sandbox, flags)
  t.after(() => server.kill('SIGKILL'))
  const { id } = await createBatch(server.url, await uploadFile(server.url, sandbox.path('requests.jsonl')))
  for (const calls of KILLED_AT) {
    await upstream.arrived(calls)
    await server.kill('SIGKILL')
    server = await startServerProcess(sandbox, flags)
  }
  const batch = await batchWhen(server.url, id, ({ status }) => status === 'completed')
  const answers = parseLines(await readContent(server.url, batch.output_file_id)) as unknown as Answered[]
  const sums = { prompt_tokens: 0, completion_tokens: 0, succeeded: answers.length }
  for (const { response } of answers) {
    sums.prompt_tokens += response.body.usage.prompt_tokens
    sums.completion_tokens += response.body.usage.completion_tokens
  }
  const usage = await ask<Usage>(`${server.url}/v1/usage?by=model,upstream`)
  const { total } = usage
  assert.deepEqual(
    {
      prompt_tokens: total.prompt_tokens,
      completion_tokens: total.completion_tokens,
      succeeded: total.succeeded,
    },
    sums,
  )
  assert.equal(total.requests, LINES)
  assert.equal(total.failed, LINES / 10)
  assert.ok((total.calls ?? 0) >= LINES)
  const large = usage.data.find(({ by }) => by.model === 'large')
  assert.deepEqual(Object.values(large?.by ?? {}), ['large', 'test'])
  const largeIds = new Set(
    requests.filter(({ body }) => body.model === 'large').map((line) => line.custom_id),
  )
  const ofLarge = answers.filter((answer) => largeIds.has(answer.custom_id))
  const cost = ofLarge.reduce(
    (sum, { response: { body } }) =>
      sum + body.usage.prompt_tokens * 0.15 + body.usage.completion_tokens * 0.6,
    0,
  )
  assert.ok(Math.abs(Number(large?.cost) * MICROS - cost) < 1e-6, `${large?.cost} for ${cost}`)
  assert.equal(usage.data.find(({ by }) => by.model === 'small')?.cost, null)

  const csv = await runDw(['usage', '--by', 'model', '--csv', '--server', server.url], { env: sandbox.env })
  const [head, ...rows] = csv.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','))
  const place = head?.indexOf('prompt_tokens') ?? -1
  assert.equal(
    rows.reduce((sum, row) => sum + Number(row[place]), 0),
    sums.prompt_tokens,
  )
})

test('prices are set, imported and taken away from the command line, and each names what is wrong', async (t) => {
  const home = createSandbox()
  const server = await startServerProcess(home, ['--sim', '--data-dir', home.dataDir])
  t.after(async () => {
    await server.kill('SIGKILL')
    home.remove()
  })
  const dw = (...words: string[]) => runDw([...words, '--server', server.url, '--json'], { env: home.env })
  const set = await dw('models', 'set-price', 'm', '24h', '--input-price', '0.05', '--output-price', '0.2')
  assert.equal(set.exitCode, 0, set.stderr)
  assert.deepEqual(JSON.parse(set.stdout), {
    model: 'm',
    window: '24h',
    input_per_million: '0.05',
    cached_input_per_million: null,
    output_per_million: '0.2',
  })
  writeFileSync(home.path('prices.toml'), PRICES)
  const imported = await dw('models', 'import-prices', home.path('prices.toml'))
  assert.deepEqual(
    imported.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { model: string }).model),
    ['large', 'm'],
  )
  assert.equal((await dw('models', 'set-price', 'm', '24h', '--none')).exitCode, 0)
  assert.equal((await dw('models', 'prices')).stdout.trimEnd().split('\n').length, 1)
  const wrong: [string[], RegExp][] = [
    [['models', 'set-price', 'm', '24h'], /--input-price/],
    [['models', 'set-price', 'm', '3h', '--input-price', '1', '--output-price', '1'], /no window '3h'/],
    [['models', 'set-price', 'm', '24h', '--input-price', '1.23456789', '--output-price', '1'], /6 decimals/],
  ]
  for (const [words, message] of wrong) {
    const refused = await dw(...words)
    assert.equal(refused.exitCode, 2, words.join(' '))
    assert.match(refused.stderr, message)
  }
  writeFileSync(home.path('broken.toml'), 'prices = 7')
  const broken = await dw('models', 'import-prices', home.path('broken.toml'))
  assert.equal(broken.exitCode, 6)
  assert.match(broken.stderr, /holds no prices/)
})
