/** `dw run` that is interrupted or killed: it says how to come back, and the same command never pays twice. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { batchWhen } from './kit/batch-api.ts'
import { type DwChild, startDw } from './kit/dw-child.ts'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import {
  type Asked,
  type Interference,
  type OpenAiService,
  startOpenAiService,
} from './kit/openai-service.ts'
import { chatLine, jsonl, parseLines } from './kit/requests.ts'
import { startTestServer, type TestServer } from './kit/running-server.ts'
import { createGate, type ScriptedUpstream, startScriptedUpstream } from './kit/scripted-upstream.ts'
import { type CommandResult, createSandbox } from './kit/server-process.ts'

const MODEL = 'gpt-test'
const LINES = 20
const sandbox = createSandbox()
let service: OpenAiService
let upstream: ScriptedUpstream
let server: TestServer
let runner: DwRunner

before(async () => {
  runner = startDwRunner()
  service = await startOpenAiService()
  upstream = await startScriptedUpstream({ models: [MODEL] })
  server = await startTestServer({ upstreamUrl: upstream.url })
})
afterEach(() => {
  service.interfere = () => null
  service.knobs.linesPerLook = Number.POSITIVE_INFINITY
  upstream.setScript(() => null)
})
after(async () => {
  await runner.stop()
  await server.remove()
  await upstream.stop()
  await service.stop()
  sandbox.remove()
})

/** A file that no other test has. */
function write(name: string): void {
  const lines = Array.from({ length: LINES }, (_, number) => ({
    ...chatLine(number, { model: MODEL, content: `${name} ${number}` }),
    custom_id: `${name}-${number}`,
  }))
  writeFileSync(sandbox.path(`${name}.jsonl`), jsonl(lines))
}

const thereEnv = (): NodeJS.ProcessEnv => ({ ...sandbox.env, ...service.env })
const hereEnv = (): NodeJS.ProcessEnv => ({ ...sandbox.env, DW_SERVER: server.url })

function words(name: string, ...more: string[]): string[] {
  return ['run', `${name}.jsonl`, '-o', `${name}-out.jsonl`, ...more]
}

function start(name: string, env: NodeJS.ProcessEnv, ...more: string[]): DwChild {
  return startDw(words(name, ...more), { cwd: sandbox.folder, env })
}

function dw(given: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  return runner.run(given, { cwd: sandbox.folder, env })
}

function again(name: string, env: NodeJS.ProcessEnv, ...more: string[]): Promise<CommandResult> {
  return dw(words(name, ...more), env)
}

function idsIn(name: string): string[] {
  return parseLines(readFileSync(sandbox.path(`${name}-out.jsonl`), 'utf8'))
    .map(({ custom_id }) => custom_id)
    .toSorted()
}

function idsOf(name: string): string[] {
  return Array.from({ length: LINES }, (_, number) => `${name}-${number}`).toSorted()
}

type Point = { when: string; isMeant: (asked: Asked) => boolean; reply: Interference }

/** Where the process is killed: the moment this request arrives, which then has its effect or not. */
const points: readonly Point[] = [
  {
    when: 'during the upload',
    isMeant: ({ method, path }) => method === 'POST' && path === '/v1/files',
    reply: { reset: 'before' },
  },
  {
    when: 'after the upload, before its answer',
    isMeant: ({ method, path }) => method === 'POST' && path === '/v1/files',
    reply: { reset: 'after' },
  },
  {
    when: 'when the batch is asked for, before it is made',
    isMeant: ({ method, path }) => method === 'POST' && path === '/v1/batches',
    reply: { reset: 'before' },
  },
  {
    when: 'when the batch is made, before its answer',
    isMeant: ({ method, path }) => method === 'POST' && path === '/v1/batches',
    reply: { reset: 'after' },
  },
  {
    when: 'while it is watched',
    isMeant: ({ method, path }) => method === 'GET' && path.startsWith('/v1/batches/'),
    reply: { reset: 'before' },
  },
  {
    when: 'while the results are fetched',
    isMeant: ({ path }) => path.endsWith('/content'),
    reply: { cutAfterBytes: 1_000 },
  },
]

for (const [number, { when, isMeant, reply }] of points.entries()) {
  test(`R8: killed ${when}, the same command ends with all results and every request was asked once`, async () => {
    const name = `killed-${number}`
    write(name)
    const from = service.batches().length
    service.interfere = (asked) => {
      if (!isMeant(asked)) return null
      child.kill('SIGKILL')
      return reply
    }
    const child = start(name, thereEnv())
    const killed = await child.ended
    assert.equal(killed.exitCode, -1, killed.stderr)
    service.interfere = () => null
    const ran = await again(name, thereEnv())
    assert.equal(ran.exitCode, 0, ran.stderr)
    assert.equal(service.batches().length, from + 1)
    for (const id of idsOf(name)) assert.equal(service.askedById.get(id), 1, id)
    assert.deepEqual(idsIn(name), idsOf(name))
    assert.match(ran.stderr, number < 4 ? /^(Going on with a run|batch_)/ : /^batch_\w+, made /)
  })
}

test('R8: against our server a killed run goes on with its batch, and the engine sees every request once', async () => {
  write('own')
  const gate = createGate()
  const from = upstream.calls.length
  upstream.setScript(() => ({ gate: gate.opened, body: { ok: true } }))
  const child = start('own', hereEnv())
  await upstream.arrived(from + 8)
  await child.says(/batch_\w+ {2}own\.jsonl/)
  child.kill('SIGKILL')
  await child.ended
  gate.open()
  const ran = await again('own', hereEnv())
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.match(ran.stderr, /^batch_\w+, made .* --new\n/)
  assert.equal(upstream.calls.length, from + LINES)
  assert.deepEqual(idsIn('own'), idsOf('own'))
  const first = readFileSync(sandbox.path('own-out.jsonl'))
  const third = await again('own', hereEnv())
  assert.equal(third.exitCode, 0, third.stderr)
  assert.deepEqual(readFileSync(sandbox.path('own-out.jsonl')), first)
  assert.equal(upstream.calls.length, from + LINES)
  const anew = await again('own', hereEnv(), '--new')
  assert.equal(anew.exitCode, 0, anew.stderr)
  assert.equal(upstream.calls.length, from + 2 * LINES)
})

test('R8: a cancelled batch is not gone on with; another is made, and that is said', async () => {
  write('spent')
  const left = await dw(['run', 'spent.jsonl', '--detach'], thereEnv())
  const id = left.stdout.trim()
  const cancelled = await dw(['batches', 'cancel', id, '--yes'], thereEnv())
  assert.equal(cancelled.exitCode, 0, cancelled.stderr)
  const ran = await again('spent', thereEnv())
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.match(ran.stderr, new RegExp(`^${id} of an earlier run is cancell(ing|ed): starting another batch`))
  assert.deepEqual(idsIn('spent'), idsOf('spent'))
})

test('R8: another window or other metadata is another run', async () => {
  write('other')
  const ids: string[] = []
  for (const more of [[], ['-w', '1h'], ['--metadata', 'a=b'], []]) {
    const ran = await again('other', hereEnv(), ...more)
    assert.equal(ran.exitCode, 0, ran.stderr)
    ids.push(...parseLines<{ batch_ids: string[] }>(ran.stdout).flatMap(({ batch_ids }) => batch_ids))
  }
  assert.equal(new Set(ids).size, 3)
  assert.equal(ids[3], ids[0])
})

test('R7: Ctrl-C leaves the batch running and names the way back and the way to cancel', async () => {
  write('left')
  const gate = createGate()
  const from = upstream.calls.length
  upstream.setScript(({ number }) => (number < from + 6 ? null : { gate: gate.opened, body: { ok: true } }))
  const child = start('left', hereEnv(), '--new')
  await child.says(/in_progress/)
  await upstream.arrived(from + 14)
  child.kill('SIGINT')
  const ended = await child.ended
  assert.equal(ended.exitCode, 130, ended.stderr)
  const id = /batch_\w+/.exec(ended.stderr)?.[0] ?? ''
  assert.ok(ended.stderr.includes(`come back: dw run left.jsonl -o left-out.jsonl\n`), ended.stderr)
  assert.ok(ended.stderr.includes(`dw batches watch ${id}\n`))
  assert.ok(ended.stderr.includes(`cancel:    dw batches cancel ${id}\n`))
  gate.open()
  const batch = await batchWhen(server.url, id, ({ status }) => status === 'completed')
  assert.equal(batch.request_counts.completed, LINES)
  const back = await again('left', hereEnv())
  assert.equal(back.exitCode, 0, back.stderr)
  assert.equal(upstream.calls.length, from + LINES)
})

test('R7: Ctrl-C during the upload says that nothing was submitted, and a second one ends at once', async () => {
  write('early')
  const from = service.batches().length
  const arrived = Promise.withResolvers<void>()
  service.interfere = ({ path }) => {
    if (path !== '/v1/files') return null
    arrived.resolve()
    // The client asks again a little later, as long as nobody interrupts it.
    return { status: 503, body: {}, headers: { 'retry-after': '30' } }
  }
  const child = start('early', thereEnv())
  await arrived.promise
  const second = await again('early', thereEnv())
  assert.equal(second.exitCode, 1, second.stderr)
  assert.match(second.stderr, /error\[run_busy\]: Another dw process/)
  child.kill('SIGINT')
  const ended = await child.ended
  assert.equal(ended.exitCode, 130, ended.stderr)
  assert.match(ended.stderr, /Nothing was submitted\./)
  assert.equal(service.batches().length, from)

  service.interfere = ({ path, method }) => {
    if (path !== '/v1/batches' || method !== 'POST') return null
    asked.resolve()
    return { status: 503, body: {} }
  }
  const asked = Promise.withResolvers<void>()
  const busy = start('early', thereEnv())
  await asked.promise
  busy.kill('SIGINT')
  await busy.says(/a second Ctrl-C ends at once/)
  busy.kill('SIGINT')
  const at = performance.now()
  const cut = await busy.ended
  assert.equal(cut.exitCode, 130, cut.stderr)
  // Required: 200 ms; the rest is room for a machine that does other things.
  assert.ok(performance.now() - at < 1_000)
})

test('--on-interrupt cancel ends the batch', async () => {
  write('cancelled')
  service.knobs.linesPerLook = 0
  const child = start('cancelled', thereEnv(), '--on-interrupt', 'cancel')
  await child.says(/in_progress/)
  child.kill('SIGINT')
  const ended = await child.ended
  assert.equal(ended.exitCode, 130, ended.stderr)
  assert.match(ended.stderr, /batch_\w+: cancelled; answers so far are kept/)
  assert.match(service.batches().at(-1)?.status ?? '', /^cancell/)
  const terminated = start('cancelled', thereEnv(), '--on-interrupt', 'cancel')
  await terminated.says(/in_progress/)
  terminated.kill('SIGTERM')
  assert.equal((await terminated.ended).exitCode, 143)
  assert.match(service.batches().at(-1)?.status ?? '', /^cancell/)
})

test('the journal holds no key and no request, and only its owner may read it', () => {
  const folder = `${sandbox.env.DW_STATE_DIR}/runs`
  const names = readdirSync(folder)
  assert.ok(names.length > 5)
  for (const name of names) {
    const text = readFileSync(`${folder}/${name}`, 'utf8')
    assert.ok(!text.includes(service.env.OPENAI_API_KEY) && !text.includes('killed-'), text)
  }
})
