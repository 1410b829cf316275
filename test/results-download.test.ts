/** Downloads that are cut, and commands that are killed: what was fetched is never fetched again, and the name appears at the end. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { batchWhen, createBatch, endedStatuses, uploadFile } from './kit/batch-api.ts'
import { type CuttingProxy, startCuttingProxy } from './kit/cutting-proxy.ts'
import { startDw } from './kit/dw-child.ts'
import { writeChatFile } from './kit/requests.ts'
import { startTestServer, type TestServer } from './kit/running-server.ts'
import { type ScriptedUpstream, startScriptedUpstream } from './kit/scripted-upstream.ts'
import { type CommandResult, createSandbox, runDw } from './kit/server-process.ts'

const LINES = 500
const ANSWER_BYTES = 100_000
const CUT_AFTER_BYTES = 12 * 1024 * 1024
/** A reader whose connection ends in the middle drops what it holds unread. */
const UNREAD_BYTES_MAX = 256 * 1024
/** What lay in buffers on the way to a process that was killed: of its socket, of the proxy, and in its memory. */
const LOST_BYTES_MAX = 16 * 1024 * 1024

const sandbox = createSandbox()
let upstream: ScriptedUpstream
let server: TestServer
let proxy: CuttingProxy
let batch: Awaited<ReturnType<typeof batchWhen>>

before(async () => {
  const padding = 'x'.repeat(ANSWER_BYTES)
  const reply = { id: 'chatcmpl-1', object: 'chat.completion', choices: [{ message: { content: padding } }] }
  upstream = await startScriptedUpstream({
    models: ['test'],
    script: ({ body }) =>
      body.includes('Question 7:') ? { status: 400, body: { error: {} } } : { body: reply },
  })
  server = await startTestServer({ upstreamUrl: upstream.url })
  proxy = await startCuttingProxy(server.url)
  writeChatFile(sandbox.path('requests.jsonl'), LINES, { model: 'test' })
  const { id } = await createBatch(server.url, await uploadFile(server.url, sandbox.path('requests.jsonl')))
  batch = await batchWhen(server.url, id, ({ status }) => endedStatuses.has(status))
})
after(async () => {
  await proxy.stop()
  await server.remove()
  await upstream.stop()
  sandbox.remove()
})

const options = (): { cwd: string; env: NodeJS.ProcessEnv } => ({
  cwd: sandbox.folder,
  env: { ...sandbox.env, DW_SERVER: proxy.url },
})

function dw(...words: string[]): Promise<CommandResult> {
  return runDw(words, options())
}

async function hashOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

async function contentHash(fileId: string | null, query: string): Promise<string> {
  const reply = await fetch(`${server.url}/v1/files/${fileId}/content${query}`)
  assert.ok(reply.body !== null)
  return hashOf(reply.body)
}

/** The batch has one failed request. */
const FAILURES = 3

const downloads = [
  {
    name: 'results in the order of the input',
    words: () => ['results', batch.id],
    query: '?order=input',
    exit: FAILURES,
  },
  { name: 'a file', words: () => ['files', 'content', batch.output_file_id ?? ''], query: '', exit: 0 },
]

for (const [number, { name, words, query, exit }] of downloads.entries()) {
  test(`R9: ${name}, cut again and again and once killed, are whole, and only the rest is fetched`, async () => {
    const output = sandbox.path(`out-${number}.jsonl`)
    const command = [...words(), '-o', output]
    proxy.contents.length = 0
    proxy.cutAfterBytes = CUT_AFTER_BYTES
    const child = startDw(command, options())
    await proxy.passed(LINES * ANSWER_BYTES * 0.5, child.ended)
    child.kill('SIGKILL')
    assert.equal((await child.ended).exitCode, -1)
    assert.ok(!existsSync(output))
    const keptBytes = statSync(`${output}.part`).size
    const passedBefore = proxy.contents.length
    const again = await dw(...command)
    assert.equal(again.exitCode, exit, again.stderr)
    assert.match(again.stderr, /going on after/)
    assert.equal(await hashOf(createReadStream(output)), await contentHash(batch.output_file_id, query))

    const answers = proxy.contents.filter(({ path }) => path.includes(batch.output_file_id ?? ''))
    const before = answers.slice(0, passedBefore)
    const behind = answers.slice(before.length)
    const { size } = statSync(output)
    assert.equal(behind[0]?.fromByte, keptBytes)
    for (const part of [before, behind])
      for (const [place, { fromByte }] of part.entries()) {
        const last = part[place - 1]
        if (last === undefined) continue
        const unread = last.fromByte + last.bytes - fromByte
        assert.ok(unread >= 0 && unread <= UNREAD_BYTES_MAX, `${unread} bytes were read and fetched again`)
      }
    const passed = answers.reduce((sum, { bytes }) => sum + bytes, 0)
    assert.ok(passed - size < LOST_BYTES_MAX, `${passed - size} bytes came twice`)
    assert.deepEqual(
      readdirSync(sandbox.folder).filter((file) => file.includes('.part')),
      [],
    )
  })
}

test('R9: a download that is interrupted says where it is kept, and goes on with the same words', async () => {
  const output = sandbox.path('interrupted.jsonl')
  proxy.contents.length = 0
  proxy.cutAfterBytes = CUT_AFTER_BYTES
  const child = startDw(['results', batch.id, '-o', output], options())
  await proxy.passed(CUT_AFTER_BYTES / 2, child.ended)
  child.kill('SIGINT')
  const { exitCode, stderr } = await child.ended
  assert.equal(exitCode, 130, stderr)
  assert.match(stderr, /kept in .*interrupted\.jsonl\.part.*the same command goes on/)
  assert.equal((await dw('results', batch.id, '-o', output)).exitCode, FAILURES)
  assert.equal(
    await hashOf(createReadStream(output)),
    await contentHash(batch.output_file_id, '?order=input'),
  )
})
