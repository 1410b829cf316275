/** Clients that people have already, against a real server: what `e2e-openai-sdk`, `pass-through` and `webhooks` do not run yet. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, test } from 'node:test'
import OpenAI, { NotFoundError } from 'openai'
import { batchWhen } from './kit/batch-api.ts'
import { chatLine, jsonl, parseLines } from './kit/requests.ts'
import { startTestServer } from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'
import { createSandbox, run } from './kit/server-process.ts'

const upstream = await startScriptedUpstream({ models: ['m', 'org/model'] })
const server = await startTestServer({ upstreamUrl: upstream.url, simulated: 'on' })
const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'anything', maxRetries: 0 })
const sandbox = createSandbox()
after(async () => {
  await server.remove()
  await upstream.stop()
  sandbox.remove()
})

test('the official client waits for a file, reads it, and finds a batch by the page after another', async () => {
  const text = jsonl([chatLine(1, { model: 'm' })])
  const file = await client.files.create({ file: new File([text], 'a.jsonl'), purpose: 'batch' })
  assert.equal((await client.files.waitForProcessing(file.id)).status, 'processed')
  assert.equal((await client.files.retrieve(file.id)).id, file.id)
  const create = () =>
    client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    })
  const [first, second] = [await create(), await create()]
  const page = await client.batches.list({ after: second.id, limit: 1 })
  assert.deepEqual(
    page.data.map(({ id }) => id),
    [first.id],
  )
  for (const { id } of [first, second])
    await batchWhen(server.url, id, ({ status }) => status === 'completed')
})

test('the official client asks for one model, also one with a slash in its name', async () => {
  for (const id of ['m', 'org/model']) assert.equal((await client.models.retrieve(id)).id, id)
  await assert.rejects(client.models.retrieve('none'), NotFoundError)
})

test('the official client keeps webhooks: one, its change, the kinds of events', async () => {
  const facts = { name: 'ours', url: 'https://example.com/hook' }
  const made = await client.webhooks.create({ ...facts, event_types: ['batch.completed'] })
  assert.equal((await client.webhooks.retrieve(made.id)).name, 'ours')
  assert.equal((await client.webhooks.update(made.id, { name: 'renamed' })).name, 'renamed')
  const { data } = await client.webhooks.eventTypes.list()
  assert.ok(data.includes('batch.completed'))
  await client.webhooks.delete(made.id)
  await assert.rejects(client.webhooks.retrieve(made.id), NotFoundError)
})

test('autobatcher: the calls that its published source makes, in its order', async () => {
  // A file without a newline at its end, the window of an hour, then the output by `offset` with the two headers.
  const lines = [1, 2, 3].map((number) => JSON.stringify(chatLine(number, { model: 'm' }))).join('\n')
  const file = await client.files.create({
    file: new File([lines], 'batch.jsonl', { type: 'application/jsonl' }),
    purpose: 'batch',
  })
  const made = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    // It asks for a window that the types of the official client do not know.
    completion_window: '1h' as '24h',
  })
  await batchWhen(server.url, made.id, ({ status }) => status === 'completed')
  const { output_file_id: outputId } = await client.batches.retrieve(made.id)
  const results: { custom_id: string }[] = []
  for (let offset: string | null = null; ; ) {
    const query: string = offset === null ? '' : `?offset=${offset}`
    const reply: Response = await fetch(`${server.url}/v1/files/${outputId}/content${query}`)
    results.push(...parseLines(await reply.text()))
    offset = reply.headers.get('x-last-line')
    if (reply.headers.get('x-incomplete') !== 'true' || offset === null) break
  }
  assert.deepEqual(results.map((line) => line.custom_id).toSorted(), ['request-1', 'request-2', 'request-3'])
})

const python = spawnSync('python3', ['-c', 'import openai'])
const program = `
import sys, time
from openai import OpenAI, NotFoundError
client = OpenAI(base_url=sys.argv[1], api_key="anything", max_retries=0)
file = client.files.create(file=("a.jsonl", sys.argv[2].encode()), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
while batch.status not in ("completed", "failed"):
    time.sleep(0.05)
    batch = client.batches.retrieve(batch.id)
assert batch.request_counts.completed == 1, batch
assert "request-1" in client.files.content(batch.output_file_id).text
assert any(one.id == batch.id for one in client.batches.list(limit=1))
assert client.models.retrieve("m").id == "m"
messages = [{"role": "user", "content": "one two"}]
assert client.chat.completions.create(model="sim/echo", messages=messages).choices[0].message.content == "one two"
parts = [c.choices[0].delta.content or "" for c in client.chat.completions.create(model="sim/echo", messages=messages, stream=True) if c.choices]
assert "".join(parts) == "one two"
assert len(client.embeddings.create(model="sim/embed", input="a").data) == 1
assert client.responses.create(model="sim/echo", input="four").output_text == "four"
assert client.files.delete(file.id).deleted
try:
    client.files.retrieve(file.id)
    raise SystemExit("the file is still there")
except NotFoundError:
    print("all done")
`

test('the official client for Python runs files, batches, models, chat, embeddings and responses', {
  skip: python.status !== 0 && 'python3 has no module openai here',
}, async () => {
  const words = ['-c', program, `${server.url}/v1`, jsonl([chatLine(1, { model: 'm' })])]
  const ran = await run('python3', words, { env: sandbox.env })
  assert.equal(ran.stdout, 'all done\n', ran.stderr)
})
