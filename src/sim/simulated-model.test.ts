import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import OpenAI from 'openai'
import { simulatedModels } from './knobs.ts'
import { type SimulatedModelOptions, startSimulatedModel } from './simulated-model.ts'

const instant = { ttftMs: 0, tokensPerSecond: 1e9 }
const stops: (() => Promise<void>)[] = []
after(async () => {
  for (const stop of stops) await stop()
})

async function start(options: SimulatedModelOptions = {}): Promise<string> {
  const model = await startSimulatedModel({ knobs: instant, ...options })
  stops.push(model.stop)
  return model.url
}

function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', body: JSON.stringify(body), headers })
}

function chat(model: string, content: string): { model: string; messages: object[] } {
  return { model, messages: [{ role: 'user', content }] }
}

function clientOf(url: string): OpenAI {
  return new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 })
}

test('every reply is labelled as simulated', async () => {
  const url = await start()
  for (const reply of [
    await post(`${url}/chat/completions`, chat('sim/chat', 'hello')),
    await post(`${url}/chat/completions`, chat('gpt-4o', 'hello')),
    await fetch(`${url}/models`),
  ]) {
    assert.equal(reply.headers.get('x-dw-simulated'), 'true')
    await reply.arrayBuffer()
  }
  const reply = await post(`${url}/chat/completions`, chat('sim/chat', 'hello'))
  assert.match(await reply.text(), /"system_fingerprint":"dw-simulated"/)
})

test('a model that is not simulated is answered with model_not_found', async () => {
  const url = await start()
  const reply = await post(`${url}/chat/completions`, chat('gpt-4o', 'hello'))
  assert.equal(reply.status, 404)
  const body = (await reply.json()) as { error: { code: string } }
  assert.equal(body.error.code, 'model_not_found')
})

test('lists its models and the further names it was given', async () => {
  const url = await start({ models: ['sim/chat?tps=20'] })
  const page = await clientOf(url).models.list()
  assert.deepEqual(
    page.data.map((model) => model.id),
    [...simulatedModels, 'sim/chat?tps=20'],
  )
})

test('the same request gets the same answer from another server with the same seed, and another with another seed', async () => {
  const request = chat('sim/chat', 'How much is three times four?')
  const contents = []
  for (const seed of [7, 7, 8]) {
    const completion = await clientOf(await start({ seed })).chat.completions.create({
      ...chat('sim/chat', ''),
      messages: [{ role: 'user', content: String((request.messages[0] as { content: string }).content) }],
    })
    contents.push(
      JSON.stringify([completion.id, completion.choices, completion.usage, completion.system_fingerprint]),
    )
  }
  assert.equal(contents[0], contents[1])
  assert.notEqual(contents[0], contents[2])
})

test('a stream says the same as the whole answer', async () => {
  const client = clientOf(await start())
  const messages = [{ role: 'user' as const, content: 'Tell me the same thing twice.' }]
  const whole = await client.chat.completions.create({ model: 'sim/echo', messages })
  const stream = await client.chat.completions.create({
    model: 'sim/echo',
    messages,
    stream: true,
    stream_options: { include_usage: true },
  })
  let text = ''
  let usage = null
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? ''
    usage = chunk.usage ?? usage
  }
  assert.equal(text, 'Tell me the same thing twice.')
  assert.equal(whole.choices[0]?.message.content, text)
  assert.deepEqual(usage, whole.usage)
})

test('sim/json fits the requested schema', async () => {
  const client = clientOf(await start())
  const schema = {
    type: 'object',
    properties: {
      name: { type: 'string' },
      age: { type: 'integer', minimum: 3, maximum: 5 },
      tags: { type: 'array', items: { enum: ['red', 'blue'] } },
    },
  }
  const completion = await client.chat.completions.create({
    model: 'sim/json',
    messages: [{ role: 'user', content: 'Give me a person.' }],
    response_format: { type: 'json_schema', json_schema: { name: 'person', schema } },
  })
  const person = JSON.parse(completion.choices[0]?.message.content ?? '')
  assert.equal(typeof person.name, 'string')
  assert.ok(person.age >= 3 && person.age <= 5)
  assert.ok(person.tags.every((tag: string) => ['red', 'blue'].includes(tag)))
})

test('embeddings are the same numbers as floats and as base64', async () => {
  const url = `${await start()}/embeddings`
  const ask = (encoding_format: string) =>
    post(url, { model: 'sim/embed', input: ['a', 'b'], dimensions: 8, encoding_format })
  const floats = (await (await ask('float')).json()) as { data: { embedding: number[] }[] }
  const packed = (await (await ask('base64')).json()) as { data: { embedding: string }[] }
  assert.equal(floats.data.length, 2)
  assert.equal(floats.data[0]?.embedding.length, 8)
  const bytes = Buffer.from(packed.data[0]?.embedding ?? '', 'base64')
  assert.equal(bytes.byteLength, 32)
  const length = floats.data[0]?.embedding.reduce((sum, value) => sum + value * value, 0) ?? 0
  assert.ok(Math.abs(length - 1) < 1e-5)
})

test('responses, completions and moderations answer in the form that the official client reads', async () => {
  const client = clientOf(await start())
  const response = await client.responses.create({ model: 'sim/chat', input: 'hello' })
  assert.ok(response.output_text.length > 0)
  assert.equal(
    response.usage?.total_tokens,
    (response.usage?.input_tokens ?? 0) + (response.usage?.output_tokens ?? 0),
  )
  const completion = await client.completions.create({ model: 'sim/echo', prompt: 'repeat me' })
  assert.equal(completion.choices[0]?.text, 'repeat me')
  const moderation = await client.moderations.create({ model: 'sim/chat', input: ['kind words', 'violence'] })
  assert.deepEqual(
    moderation.results.map((result) => result.flagged),
    [false, true],
  )
  const events = []
  for await (const event of await client.responses.create({
    model: 'sim/chat',
    input: 'hello',
    stream: true,
  }))
    events.push(event.type)
  assert.equal(events.at(0), 'response.created')
  assert.equal(events.at(-1), 'response.completed')
})

test('an answer cut at max_tokens says so', async () => {
  const client = clientOf(await start())
  const completion = await client.chat.completions.create({
    model: 'sim/chat',
    messages: [{ role: 'user', content: 'Tell me everything.' }],
    max_tokens: 3,
  })
  assert.equal(completion.choices[0]?.finish_reason, 'length')
  assert.equal(completion.usage?.completion_tokens, 3)
})

test('each error class has its status, and heals on a later attempt with the same idempotency key unless it is for ever', async () => {
  const url = `${await start({ knobs: { ...instant, retryAfterMs: 1_200 } })}/chat/completions`
  const statuses: Record<string, number[]> = {}
  for (const word of ['e429', 'e500', 'filter', 'filter_once']) {
    const seen = []
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const reply = await post(url, chat(`sim/chat?${word}=1`, word), { 'idempotency-key': 'line-1' })
      seen.push(reply.status)
      if (word === 'e429' && attempt === 0) {
        assert.equal(reply.headers.get('retry-after'), '2')
        assert.equal(reply.headers.get('retry-after-ms'), '1200')
      }
      await reply.arrayBuffer()
    }
    statuses[word] = seen
  }
  assert.deepEqual(statuses.e429, [429, 200, 200, 200])
  assert.deepEqual(statuses.e500?.slice(2), [200, 200])
  assert.equal(statuses.e500?.[0], 500)
  assert.deepEqual(statuses.filter, [400, 400, 400, 400])
  assert.deepEqual(statuses.filter_once, [400, 200, 200, 200])
})

test('another idempotency key meets the error again; content_filter_once does not', async () => {
  const url = `${await start()}/chat/completions`
  const statusOf = async (word: string, key: string) => {
    const reply = await post(url, chat(`sim/chat?${word}=1`, 'x'), { 'idempotency-key': key })
    await reply.arrayBuffer()
    return reply.status
  }
  assert.deepEqual([await statusOf('e429', 'a'), await statusOf('e429', 'b')], [429, 429])
  assert.deepEqual([await statusOf('filter_once', 'a'), await statusOf('filter_once', 'b')], [400, 200])
})

test('a prompt asks for its own failure', async () => {
  const url = `${await start()}/chat/completions`
  const statusOf = async (text: string) => {
    const reply = await post(url, chat('sim/chat', text))
    await reply.arrayBuffer()
    return reply.status
  }
  const text = 'please [sim:server_error:2]'
  assert.deepEqual([await statusOf(text), await statusOf(text), await statusOf(text)], [500, 500, 200])
  const filtered = 'please [sim:content_filter]'
  assert.deepEqual([await statusOf(filtered), await statusOf(filtered)], [400, 400])
})

test('error rates come out as asked', async () => {
  const url = `${await start()}/chat/completions`
  const counts = new Map<number, number>()
  for (let number = 0; number < 400; number += 1) {
    const reply = await post(url, chat('sim/chat?e500=0.25&filter=0.25', `question ${number}`))
    await reply.arrayBuffer()
    counts.set(reply.status, (counts.get(reply.status) ?? 0) + 1)
  }
  // Seeded, so the counts are always the same; the bounds are three standard deviations.
  for (const status of [500, 400]) assert.ok(Math.abs((counts.get(status) ?? 0) - 100) < 27, `${status}`)
})

test('half a JSON text comes with status 200 and a full content-length', async () => {
  const url = `${await start()}/chat/completions`
  const reply = await post(url, chat('sim/chat?badjson=1', 'x'))
  assert.equal(reply.status, 200)
  const text = await reply.text()
  assert.throws(() => JSON.parse(text))
})

test('a stalled request is cut when the server stops', async () => {
  const model = await startSimulatedModel({ knobs: { ...instant, errorRates: { stall: 1 } } })
  const asked = post(`${model.url}/chat/completions`, chat('sim/chat', 'x')).then(
    () => 'answered',
    () => 'cut',
  )
  await fetch(`${model.url}/models`).then((reply) => reply.arrayBuffer())
  await model.stop()
  assert.equal(await asked, 'cut')
})

test('requests beyond the ceiling wait, and beyond the queue get 429', async () => {
  // Nothing ends before the server stops: the first takes the place, the second the queue, the third is refused.
  const model = await startSimulatedModel()
  const ask = () => post(`${model.url}/chat/completions`, chat('sim/chat?concurrency=1&queue=1&stall=1', 'x'))
  const replies = [ask(), ask(), ask()]
  const first = await Promise.race(replies)
  assert.equal(first.status, 429)
  const ends = Promise.allSettled(replies)
  await model.stop()
  const cut = (await ends).filter((end) => end.status === 'rejected')
  assert.equal(cut.length, 2)
})

test('a queued request is answered when a place is free', async () => {
  const url = `${await start()}/chat/completions`
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, number) => post(url, chat('sim/chat?concurrency=2&ttft=1', `q${number}`))),
  )
  assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [200])
})

test('a wrong knob is refused with the list of knobs', async () => {
  const url = `${await start()}/chat/completions`
  const reply = await post(url, chat('sim/chat?speed=1', 'x'))
  assert.equal(reply.status, 400)
  assert.match(await reply.text(), /unknown knob 'speed'; knobs are ttft, tps/)
  await assert.rejects(startSimulatedModel({ models: ['gpt-4o'] }), /is no simulated model/)
})

test('a body that is not JSON or lacks the prompt is refused', async () => {
  const url = `${await start()}/chat/completions`
  const broken = await fetch(url, { method: 'POST', body: '{"model":' })
  assert.equal(broken.status, 400)
  const lacking = await post(url, { model: 'sim/chat' })
  assert.equal(lacking.status, 400)
  assert.match(await lacking.text(), /Missing required parameter: 'messages'/)
})
