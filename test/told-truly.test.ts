/** What went wrong is told wherever a batch is looked at, in groups that a person can act on; against both kinds of server. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import { type OpenAiService, startOpenAiService } from './kit/openai-service.ts'
import { chatLine, jsonl, parseLines } from './kit/requests.ts'
import { startTestServer, type TestServer } from './kit/running-server.ts'
import { type ScriptedUpstream, startScriptedUpstream } from './kit/scripted-upstream.ts'
import { type CommandResult, createSandbox, dwPath, runOnTerminal } from './kit/server-process.ts'

const MODEL = 'gpt-test'
const LINES = 1_000
const sandbox = createSandbox()
let runner: DwRunner
let upstream: ScriptedUpstream
let server: TestServer
let service: OpenAiService

/** Status and message of the request with this number, null when it succeeds; what is told apart by people says the same in each. */
type Failure = (number: number) => { status: number; error: { code?: string; message: string } } | null

const oneOfAll: Failure = (number) =>
  number === 617 ? { status: 400, error: { message: 'no such tool' } } : null

const threeClasses: Failure = (number) => {
  switch (number % 20) {
    case 3:
      return {
        status: 400,
        error: {
          message: `Request req_${(number * 7919).toString(16)} is bad: see https://help.example/e/${number}?at=${number}`,
        },
      }
    case 5:
    case 6:
      return {
        status: 400,
        error: {
          code: 'context_length_exceeded',
          message: `This model's maximum context length is 4096 tokens, and this request has ${9_000 + number}`,
        },
      }
    case 7:
      return { status: 422, error: { message: `Invalid value '${number}' for user "user ${number}"` } }
    default:
      return null
  }
}

let failure: Failure = () => null

before(async () => {
  runner = startDwRunner()
  upstream = await startScriptedUpstream({
    models: [MODEL],
    script: ({ body }) => replyTo(Number(/Question (\d+)/.exec(body.toString())?.[1])),
  })
  server = await startTestServer({ upstreamUrl: upstream.url })
  service = await startOpenAiService({
    answer: ({ customId }) => replyTo(Number(customId.split('-')[1])),
  })
})
after(async () => {
  await runner.stop()
  await service.stop()
  await server.remove()
  await upstream.stop()
  sandbox.remove()
})

function replyTo(number: number): { status: number; body: Record<string, unknown> } | null {
  const failed = failure(number)
  return failed === null ? null : { status: failed.status, body: { error: failed.error } }
}

const servers = [
  { where: 'our server', env: () => ({ ...sandbox.env, DW_SERVER: server.url }) },
  { where: "a service with OpenAI's routes alone", env: () => ({ ...sandbox.env, ...service.env }) },
]

for (const [place, { where, env }] of servers.entries()) {
  const dw = (...words: string[]): Promise<CommandResult> =>
    runner.run(words, { cwd: sandbox.folder, env: env() })
  const requests = (kind: string): string => {
    const name = `${kind}-${place}.jsonl`
    // The same file would be the same run again.
    const lines = Array.from({ length: LINES }, (_, number) => chatLine(number, { model: MODEL }))
    writeFileSync(
      sandbox.path(name),
      jsonl(lines.map((line) => ({ ...line, custom_id: `${kind}-${line.custom_id.split('-')[1]}` }))),
    )
    return name
  }

  test(`R14: on ${where} one failure of ${LINES} is told by the run, the list, the detail, a wait and the results`, async () => {
    failure = oneOfAll
    const ran = await dw('run', requests('one'), '-o', `one-${place}-out.jsonl`)
    assert.equal(ran.exitCode, 3, ran.stderr)
    assert.match(ran.stderr, /completed, 1 failed/)
    assert.doesNotMatch(ran.stderr, /all \S+ requests succeeded/)
    const [told] = parseLines<{ batch_ids: string[] }>(ran.stdout)
    const id = told?.batch_ids[0] ?? ''
    for (const words of [
      ['batches', 'list'],
      ['batches', 'get', id],
    ]) {
      const { output } = await runOnTerminal(process.execPath, [dwPath, ...words], {
        cwd: sandbox.folder,
        env: { ...env(), COLUMNS: '160' },
      })
      assert.match(output, /1 failed/, words.join(' '))
    }
    const waited = await dw('wait', id)
    assert.equal(waited.exitCode, 3, waited.stderr)
    const results = await dw('results', id, '-o', `one-${place}-again.jsonl`)
    assert.equal(results.exitCode, 3, results.stderr)
  })

  test(`R16: on ${where} errors that differ in ids, addresses and numbers alone are one group, counted, with an example and a way on`, async () => {
    failure = threeClasses
    const ran = await dw('run', requests('three'), '-o', `three-${place}-out.jsonl`)
    assert.equal(ran.exitCode, 3, ran.stderr)
    const id = parseLines<{ batch_ids: string[] }>(ran.stdout)[0]?.batch_ids[0] ?? ''
    const groups = parseLines<{
      count: number
      status: number
      code: string | null
      first_custom_id: string
      retry: string
      fix: string
    }>((await dw('errors', id)).stdout)
    assert.deepEqual(
      new Set(groups.map(({ count, status, code }) => `${count} × ${status} ${code}`)),
      new Set(['100 × 400 context_length_exceeded', '50 × 400 null', '50 × 422 null']),
    )
    for (const { first_custom_id, retry, fix, status, count } of groups) {
      const number = Number(first_custom_id.split('-')[1])
      assert.equal(failure(number)?.status, status)
      assert.ok(fix.length > 20)
      const [, ...words] = retry.split(' ')
      const again = await dw(...words)
      const child = parseLines<{ id: string }>(again.stdout)[0]?.id ?? again.stderr
      await dw('wait', child)
      const { request_counts } = JSON.parse((await dw('batches', 'get', child)).stdout)
      assert.deepEqual(request_counts, { total: count, completed: 0, failed: count })
    }
  })
}
