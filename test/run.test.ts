/** `dw run`: the whole job in one command, against our server and against a service with OpenAI's routes alone. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { ask } from './kit/batch-api.ts'
import { startDw } from './kit/dw-child.ts'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import { type OpenAiService, startOpenAiService } from './kit/openai-service.ts'
import { chatLine, jsonl, parseLines, type RequestLine, writeChatFile } from './kit/requests.ts'
import { startTestServer, type TestServer } from './kit/running-server.ts'
import {
  createGate,
  errorReply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from './kit/scripted-upstream.ts'
import { type CommandResult, createSandbox, dwPath, run, runDw, runOnTerminal } from './kit/server-process.ts'

const MODEL = 'gpt-test'
const sandbox = createSandbox()
let service: OpenAiService
let upstream: ScriptedUpstream
let server: TestServer
let runner: DwRunner

before(async () => {
  runner = startDwRunner()
  service = await startOpenAiService()
  upstream = await startScriptedUpstream({ models: [MODEL, 'unpriced'] })
  server = await startTestServer({
    upstreamUrl: upstream.url,
    prices: [
      {
        model: MODEL,
        window: '24h',
        inputPerMillion: '1',
        cachedInputPerMillion: null,
        outputPerMillion: '2',
      },
    ],
  })
})
afterEach(() => {
  service.knobs.answer = () => null
  service.knobs.linesPerLook = Number.POSITIVE_INFINITY
  service.interfere = () => null
  upstream.setScript(() => null)
})
after(async () => {
  await runner.stop()
  await server.remove()
  await upstream.stop()
  await service.stop()
  sandbox.remove()
})

/** Against the service with OpenAI's routes alone. */
function dwThere(...words: string[]): Promise<CommandResult> {
  return runner.run(words, { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env } })
}

/** Against our server. */
function dwHere(...words: string[]): Promise<CommandResult> {
  return runner.run(words, { cwd: sandbox.folder, env: hereEnv() })
}

function hereEnv(): NodeJS.ProcessEnv {
  return { ...sandbox.env, DW_SERVER: server.url }
}

function lines(count: number, prefix = 'request'): RequestLine[] {
  return Array.from({ length: count }, (_, number) => ({
    ...chatLine(number, { model: MODEL }),
    custom_id: `${prefix}-${number}`,
  }))
}

function idsIn(name: string): string[] {
  return parseLines(readFileSync(sandbox.path(name), 'utf8')).map(({ custom_id }) => custom_id)
}

async function filesHere(): Promise<number> {
  return (await ask<{ data: unknown[] }>(`${server.url}/v1/files`)).data.length
}

function writes(): number {
  return service.asked.filter(({ method }) => method !== 'GET').length
}

test('R1: what a service drops, fails and doubles is told exactly, and each request has one line or is named', async () => {
  const COUNT = 2_000
  const numberOf = (id: string): number => Number(id.split('-')[1])
  const isDropped = (id: string): boolean => numberOf(id) % 100 === 17
  const isFailed = (id: string): boolean => numberOf(id) % 20 === 3
  const isDoubled = (id: string): boolean => numberOf(id) % 1_000 === 500
  writeFileSync(sandbox.path('r1.jsonl'), jsonl(lines(COUNT)))
  service.knobs.answer = ({ customId }) =>
    isDropped(customId)
      ? 'drop'
      : isFailed(customId)
        ? { status: 400 }
        : isDoubled(customId)
          ? 'duplicate'
          : null
  const ran = await dwThere('run', 'r1.jsonl', '-o', 'r1-out.jsonl')
  assert.equal(ran.exitCode, 3, ran.stderr)
  const all = lines(COUNT).map(({ custom_id }) => custom_id)
  const dropped = all.filter(isDropped)
  const failed = all.filter((id) => !isDropped(id) && isFailed(id))
  const doubled = all.filter((id) => isDoubled(id) && !isDropped(id) && !isFailed(id))
  assert.equal(dropped.length, 20)
  assert.deepEqual(
    readFileSync(sandbox.path('r1-out.missing.txt'), 'utf8').trim().split('\n').toSorted(),
    dropped.toSorted(),
  )
  assert.deepEqual(idsIn('r1-out.errors.jsonl').toSorted(), failed.toSorted())
  assert.deepEqual(idsIn('r1-out.extra.jsonl').toSorted(), doubled.toSorted())
  const answered = all.filter((id) => !isDropped(id) && !isFailed(id))
  assert.deepEqual(idsIn('r1-out.jsonl').toSorted(), answered.toSorted())
  const [told] = parseLines<{ requests: object; left_out: object; exit_code: number }>(ran.stdout)
  assert.deepEqual(told?.requests, {
    ...{ total: COUNT, succeeded: answered.length, failed: failed.length },
    ...{ expired: 0, cancelled: 0, missing: dropped.length },
  })
  assert.deepEqual(told?.left_out, { duplicate: doubled.length, unknown: 0, unreadable: 0 })
  assert.match(ran.stderr, /without any line: request-17, .* and 10 more/)
})

test('rows that failed do not stand among the answers, whichever file the service put them in', async () => {
  writeFileSync(sandbox.path('mixed.jsonl'), jsonl(lines(3, 'mixed')))
  service.interfere = ({ path }) => {
    const output = service.batches().at(-1)?.output_file_id ?? 'none'
    if (!path.endsWith(`${output}/content`)) return null
    const row = (id: string, status: number): object => ({
      custom_id: id,
      response: { status_code: status, body: {} },
    })
    const stranger = { custom_id: 'stranger', response: { status_code: 200, body: {} } }
    const rows = [row('mixed-0', 200), row('mixed-1', 500), stranger, row('mixed-2', 200)]
    return { status: 200, body: `${jsonl(rows)}no JSON at all\n` }
  }
  const ran = await dwThere('run', 'mixed.jsonl', '-o', 'mixed-out.jsonl')
  assert.equal(ran.exitCode, 3, ran.stderr)
  assert.deepEqual(idsIn('mixed-out.jsonl'), ['mixed-0', 'mixed-2'])
  assert.deepEqual(idsIn('mixed-out.errors.jsonl'), ['mixed-1'])
  assert.match(readFileSync(sandbox.path('mixed-out.extra.jsonl'), 'utf8'), /no JSON at all\n[\s\S]*stranger/)
  assert.ok(!existsSync(sandbox.path('mixed-out.missing.txt')))
})

const bodies: Readonly<Record<string, object>> = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'Hello' }] },
  '/v1/responses': { input: 'Hello' },
  '/v1/embeddings': { input: 'Hello' },
}

for (const [url, body] of Object.entries(bodies)) {
  test(`R4: a file of ${url} runs from the file to its answers, in the order of the input`, async () => {
    const name = `${url.split('/')[2]}.jsonl`
    const requests = lines(12, name).map((line) => ({
      ...line,
      url,
      body: { model: MODEL, ...body, user: line.custom_id },
    }))
    writeFileSync(sandbox.path(name), jsonl(requests))
    const ran = await dwHere('run', name, '-o', `out-${name}`)
    assert.equal(ran.exitCode, 0, ran.stderr)
    assert.deepEqual(
      idsIn(`out-${name}`),
      requests.map(({ custom_id }) => custom_id),
    )
    assert.ok(upstream.calls.every(({ path }) => path in bodies))
    assert.equal(upstream.calls.filter(({ path }) => path === url).length, requests.length)
    assert.match(ran.stderr, /completed, all 12 requests succeeded/)
    assert.match(ran.stderr, /latency: p50 .*, p95 /)
    assert.match(ran.stderr, /cost: 0\.\d+ USD/)
  })
}

test('R4: a file of several endpoints ends with 6 and the numbers of the lines, and nothing is sent', async () => {
  const mixed = lines(4).map((line, number) =>
    number < 2 ? line : { ...line, url: '/v1/embeddings', body: { model: MODEL, input: 'x' } },
  )
  writeFileSync(sandbox.path('endpoints.jsonl'), jsonl(mixed))
  const before = service.asked.length
  const ran = await dwThere('run', 'endpoints.jsonl', '-o', 'never.jsonl')
  assert.equal(ran.exitCode, 6, ran.stderr)
  assert.match(ran.stderr, /lines 3, 4/)
  assert.match(ran.stderr, /Nothing was submitted\./)
  assert.equal(service.asked.length, before)
  assert.ok(!existsSync(sandbox.path('never.jsonl')))
})

test('the files of a folder are one run; ids that meet between them are named with both places', async () => {
  mkdirSync(sandbox.path('folder'))
  // Without a newline at its end.
  writeFileSync(sandbox.path('folder/a.jsonl'), jsonl(lines(3, 'a')).trimEnd())
  writeFileSync(sandbox.path('folder/b.jsonl'), jsonl(lines(3, 'b')))
  const ran = await dwHere('run', 'folder', '-o', 'folder-out.jsonl')
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.deepEqual(idsIn('folder-out.jsonl'), ['a-0', 'a-1', 'a-2', 'b-0', 'b-1', 'b-2'])
  writeFileSync(sandbox.path('folder/b.jsonl'), jsonl([...lines(1, 'b'), ...lines(2, 'a')]))
  const refused = await dwHere('run', 'folder', '-o', 'folder-out.jsonl')
  assert.equal(refused.exitCode, 6, refused.stderr)
  assert.match(refused.stderr, /folder\/b\.jsonl: 2 problems\n.*lines 2, 3: .*line 1 of folder\/a\.jsonl/)
})

test('R15: what was answered before a cancel is fetched and labelled, and the exit code says 7', async () => {
  writeFileSync(sandbox.path('partial.jsonl'), jsonl(lines(10, 'partial')))
  const gate = createGate()
  let answered = 0
  upstream.setScript(() => {
    answered += 1
    return answered <= 6 ? null : { gate: gate.opened, ...errorReply(500) }
  })
  const from = upstream.calls.length
  const child = startDw(['run', 'partial.jsonl', '-o', 'partial-out.jsonl'], {
    cwd: sandbox.folder,
    env: hereEnv(),
  })
  await upstream.arrived(from + 10)
  await child.says(/batch_\w+ {2}partial\.jsonl/)
  const id = /batch_\w+/.exec(child.stderr())?.[0] ?? ''
  await fetch(`${server.url}/v1/batches/${id}/cancel`, { method: 'POST' })
  gate.open()
  const ran = await child.ended
  assert.equal(ran.exitCode, 7, ran.stderr)
  assert.equal(idsIn('partial-out.jsonl').length, 6)
  assert.equal(idsIn('partial-out.errors.jsonl').length, 4)
  assert.match(ran.stderr, /partial\.jsonl: cancelled.*\(PARTIAL results\)/)
  assert.match(ran.stderr, /answers: partial-out\.jsonl \(PARTIAL\)/)
})

test('R24: a dry run tells server, requests, models and tokens, and sends nothing that writes', async () => {
  writeFileSync(sandbox.path('dry.jsonl'), jsonl(lines(50, 'dry')))
  const before = writes()
  const told = await dwThere('run', 'dry.jsonl', '--dry-run')
  assert.equal(told.exitCode, 0, told.stderr)
  const [plan] = parseLines<Record<string, unknown>>(told.stdout)
  assert.equal(plan?.server, service.url)
  assert.deepEqual(
    [plan.requests, plan.endpoint, plan.action, plan.batches],
    [50, '/v1/chat/completions', 'new', 1],
  )
  assert.equal(plan.estimated_cost, null)
  const words = await dwThere('run', 'dry.jsonl', '--dry-run', '--output', 'table')
  assert.match(words.stdout, /models {4}gpt-test \(50\)[\s\S]*1 new batch would be made/)
  assert.equal(writes(), before)
})

test('R24: a sample draws the same requests each time, and another seed others', async () => {
  writeFileSync(sandbox.path('big.jsonl'), jsonl(lines(500, 'big')))
  const idsOf = ({ stdout }: CommandResult): string[] => parseLines(stdout).map(({ custom_id }) => custom_id)
  const first = await dwThere('run', 'big.jsonl', '--sample', '5')
  assert.equal(first.exitCode, 0, first.stderr)
  const batches = service.batches().length
  const again = await dwThere('run', 'big.jsonl', '--sample', '5')
  assert.deepEqual(idsOf(again).toSorted(), idsOf(first).toSorted())
  assert.equal(service.batches().length, batches)
  const other = await dwThere('run', 'big.jsonl', '--sample', '5', '--seed', '2')
  assert.notDeepEqual(idsOf(other).toSorted(), idsOf(first).toSorted())
  assert.equal(idsOf(other).length, 5)
})

test('R24: a cost above the limit, or one that nobody knows, ends with 10 before anything is sent', async () => {
  writeFileSync(sandbox.path('cost.jsonl'), jsonl(lines(100, 'cost')))
  const filesBefore = await filesHere()
  const over = await dwHere('run', 'cost.jsonl', '--max-cost', '0.001')
  assert.equal(over.exitCode, 10, over.stderr)
  assert.match(over.stderr, /error\[over_max_cost\].*USD/)
  const unknown = await dwHere('run', 'cost.jsonl', '--max-cost', '1000', '--model', 'unpriced')
  assert.equal(unknown.exitCode, 10, unknown.stderr)
  assert.match(unknown.stderr, /error\[no_price\].*unpriced/)
  const foreign = await dwThere('run', 'cost.jsonl', '--max-cost', '1000')
  assert.equal(foreign.exitCode, 10, foreign.stderr)
  assert.equal(await filesHere(), filesBefore)
  const fine = await dwHere('run', 'cost.jsonl', '--max-cost', '1000', '-o', 'cost-out.jsonl')
  assert.equal(fine.exitCode, 0, fine.stderr)
})

test('a run writes neither over its input nor into a folder, and finds that out before it sends anything', async () => {
  writeFileSync(sandbox.path('own.errors.jsonl'), jsonl(lines(2, 'own')))
  const before = writes()
  for (const [input, output] of [
    ['own.errors.jsonl', './own.errors.jsonl'],
    ['own.errors.jsonl', 'own.jsonl'],
    ['own.errors.jsonl', 'folder'],
  ] as const) {
    const ran = await dwThere('run', input, '-o', output)
    assert.equal(ran.exitCode, 2, ran.stderr)
  }
  assert.equal(idsIn('own.errors.jsonl').length, 2)
  assert.equal(writes(), before)
})

test('R6: on a terminal the id comes first, then a bar, then how it came out; answers stay off the screen', async () => {
  writeFileSync(sandbox.path('shown.jsonl'), jsonl(lines(8, 'shown')))
  service.knobs.linesPerLook = 4
  const words = [dwPath, 'run', 'shown.jsonl', '-o', 'shown-out.jsonl']
  const options = { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env } }
  const { exitCode, output } = await runOnTerminal(process.execPath, words, options)
  assert.equal(exitCode, 0, output)
  assert.match(output, /^batch_\w+ {2}shown\.jsonl, 8 requests\r\n[\s\S]*50% {2}4\/8[\s\S]*100% {2}8\/8/)
  assert.match(output, /shown\.jsonl: completed, all 8 requests succeeded[\s\S]*answers: shown-out\.jsonl/)
  assert.doesNotMatch(output, /custom_id|"object"/)
})

test('--detach prints the id and nothing else, and the same command fetches the results', async () => {
  writeFileSync(sandbox.path('detach.jsonl'), jsonl(lines(3, 'detach')))
  const left = await dwThere('run', 'detach.jsonl', '--detach')
  assert.equal(left.exitCode, 0, left.stderr)
  assert.match(left.stdout, /^batch_\w+\n$/)
  const back = await dwThere('run', 'detach.jsonl', '-o', 'detach-out.jsonl')
  assert.equal(back.exitCode, 0, back.stderr)
  assert.ok(back.stderr.startsWith(`${left.stdout.trim()}, made `), back.stderr)
  assert.equal(idsIn('detach-out.jsonl').length, 3)
})

test('R35: standard input in, standard output out, into a reader that leaves early', async () => {
  writeChatFile(sandbox.path('pipe.jsonl'), 200, { model: MODEL })
  const command = `cat pipe.jsonl | "${process.execPath}" "${dwPath}" run - -o - | head -1; exit "\${PIPESTATUS[1]}"`
  const ran = await run('bash', ['-c', command], { cwd: sandbox.folder, env: hereEnv() })
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.equal(parseLines(ran.stdout).length, 1)
  assert.doesNotMatch(ran.stderr, /\n {4}at /)
})

test('what a person typed on standard input is checked like a file, and nothing of it is left behind', async () => {
  const tmp = sandbox.path('tmp')
  mkdirSync(tmp)
  const options = { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env, TMPDIR: tmp } }
  const bad = await runDw(['run', '-'], { ...options, stdin: '{"custom_id": 1}\n' })
  assert.equal(bad.exitCode, 6, bad.stderr)
  const good = await runDw(['stream', '-'], { ...options, stdin: jsonl(lines(2, 'typed')) })
  assert.equal(good.exitCode, 0, good.stderr)
  assert.equal(parseLines(good.stdout).length, 2)
  assert.equal(service.files.get(service.batches().at(-1)?.input_file_id ?? '')?.wire.filename, 'stdin.jsonl')
  assert.deepEqual(readdirSync(tmp), [])
})
