/** The batch commands against a service that has OpenAI's routes and nothing of ours, over a network that breaks. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import {
  type Interference,
  type OpenAiService,
  startOpenAiService,
} from '../../../test/kit/openai-service.ts'
import { chatLine, jsonl, parseLines } from '../../../test/kit/requests.ts'
import { type CommandResult, createSandbox, runDw } from '../../../test/kit/server-process.ts'

const sandbox = createSandbox()
const FAILS = 'request-400'
let service: OpenAiService

before(async () => {
  service = await startOpenAiService({
    isSparse: true,
    answer: ({ customId }) =>
      customId === FAILS
        ? { status: 429, body: { error: { code: 'rate', message: 'Slow down.' } } }
        : { body: { text: 'ä'.repeat(200) } },
  })
  const lines = Array.from({ length: 401 }, (_, number) => chatLine(number))
  writeFileSync(sandbox.path('requests.jsonl'), jsonl(lines))
  for (const name of ['a', 'b', 'c']) writeFileSync(sandbox.path(`${name}.jsonl`), jsonl([chatLine(1)]))
})
beforeEach(() => {
  service.interfere = () => null
})
after(async () => {
  await service.stop()
  sandbox.remove()
})

function dw(...words: string[]): Promise<CommandResult> {
  return runDw(words, { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env } })
}

/** What happens to the next requests of this kind, one after the other; then they succeed. */
function interfereWith(isMeant: (method: string, path: string) => boolean, with_: Interference[]): void {
  const left = [...with_]
  service.interfere = ({ method, path }) => (isMeant(method, path) ? (left.shift() ?? null) : null)
}

const isCreation = (method: string, path: string): boolean => method === 'POST' && path === '/v1/batches'

test('a run is watched through an outage, and summed up from what the service has', async () => {
  interfereWith(
    (method, path) => method === 'GET' && path.startsWith('/v1/batches/'),
    [null, { reset: 'before' }, { status: 503, body: { error: { message: 'Restarting.' } } }],
  )
  const ran = await dw('batches', 'run', 'requests.jsonl', '--watch')
  assert.equal(ran.exitCode, 3, ran.stderr)
  const [batch] = parseLines<{ id: string; status: string }>(ran.stdout)
  assert.equal(batch?.status, 'completed')
  assert.match(
    ran.stderr,
    /: completed, 1 failed\n {2}400 succeeded, 1 failed, 0 missing of 401 requests in /,
  )
  assert.match(ran.stderr, /1 × 429 rate: Slow down\./)
})

test('when one of several files is refused the others go on, and the command for the rest is named', async () => {
  interfereWith(isCreation, [
    { status: 400, body: { error: { message: 'Too many batches.', code: 'limit' } } },
  ])
  const ran = await dw(
    ...['batches', 'run', 'a.jsonl', 'b.jsonl', 'c.jsonl', '--output-id', 'ids/all.txt', '-m', 'x'],
    ...['--server', service.url],
  )
  assert.equal(ran.exitCode, 2, ran.stderr)
  assert.equal(readFileSync(sandbox.path('ids/all.txt'), 'utf8').trim().split('\n').length, 2)
  assert.match(ran.stderr, /a\.jsonl: error\[limit\]: Too many batches\./)
  assert.ok(
    ran.stderr.includes(`dw batches run a.jsonl --model x --completion-window 24h --server ${service.url}\n`),
    ran.stderr,
  )
})

test('a batch that may have been made is not offered to be made again', async () => {
  interfereWith(
    isCreation,
    Array.from({ length: 4 }, () => ({ reset: 'before' })),
  )
  const ran = await dw('batches', 'run', 'a.jsonl', 'b.jsonl')
  assert.equal(ran.exitCode, 9, ran.stderr)
  assert.equal(ran.stdout.trim().split('\n').length, 1)
  assert.match(ran.stderr, /a\.jsonl: error\[outcome_unknown\]/)
  assert.doesNotMatch(ran.stderr, /not submitted/)
})

for (const knowsKeys of [true, false]) {
  const which = `a service that knows ${knowsKeys ? 'idempotency keys' : 'no idempotency keys'}`
  test(`a creation whose reply is lost makes one batch on ${which}`, async () => {
    const before = service.batches().length
    service.knobs.knowsIdempotencyKeys = knowsKeys
    interfereWith(isCreation, [{ reset: 'after' }])
    const ran = await dw('batches', 'run', 'a.jsonl', '--json')
    assert.equal(ran.exitCode, 0, ran.stderr)
    assert.equal(service.batches().length, before + 1)
    assert.equal(parseLines<{ id: string }>(ran.stdout)[0]?.id, service.batches().at(-1)?.id)
  })
}

for (const knowsRanges of [true, false]) {
  test(`results are whole after cut connections, ${knowsRanges ? 'with' : 'without'} ranges`, async () => {
    const id = service.batches()[0]?.id ?? ''
    const outputId = service.batch(id)?.output_file_id ?? ''
    service.knobs.knowsRanges = knowsRanges
    const from = service.asked.length
    interfereWith((_, path) => path.includes(outputId), [{ cutAfterBytes: 70_001 }, { cutAfterBytes: 333 }])
    const fetched = await dw('batches', 'results', id, '-o', 'cut.jsonl')
    assert.equal(fetched.exitCode, 3, fetched.stderr)
    assert.equal(
      readFileSync(sandbox.path('cut.jsonl'), 'utf8'),
      service.files.get(outputId)?.bytes.toString('utf8'),
    )
    assert.match(readFileSync(sandbox.path('cut.errors.jsonl'), 'utf8'), new RegExp(`"${FAILS}"`))
    assert.match(fetched.stderr, /going on from where it was cut/)
    const asked = service.asked.slice(from).filter(({ path }) => path.includes(outputId))
    assert.equal(asked.length, 3)
    assert.match(asked[1]?.headers.range ?? '', /^bytes=\d+-$/)
    assert.deepEqual(
      readdirSync(sandbox.folder).filter((name) => name.endsWith('.part')),
      [],
    )
  })
}
