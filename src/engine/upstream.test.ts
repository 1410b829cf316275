import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  type Script,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../../test/kit/scripted-upstream.ts'
import { createSystemClock } from '../lib/clock.ts'
import { createSeededRandom } from '../lib/random.ts'
import { type LineCallEnd, Upstream } from './upstream.ts'

const open: { stop(): Promise<void> }[] = []
after(async () => {
  for (const part of open) await part.stop()
})

type Bench = {
  upstream: Upstream
  engine: ScriptedUpstream
  call(line: string, past?: { doubtedAt: number; isSuspect?: boolean }): Promise<LineCallEnd>
  /** Resolves when the condition holds, looked at after each change. */
  until(condition: () => boolean): Promise<void>
}

async function start(options: {
  script?: Script
  concurrency?: number
  stallMs?: number
  answerBytesMax?: number
}): Promise<Bench> {
  const engine = await startScriptedUpstream({
    models: ['m'],
    ...(options.script === undefined ? {} : { script: options.script }),
  })
  const waiting = new Set<() => void>()
  const upstream = new Upstream(
    {
      name: 'test',
      url: engine.url,
      key: 'secret',
      concurrency: options.concurrency ?? 8,
      number: 0,
      createdAt: 0,
    },
    {
      clock: createSystemClock(),
      random: createSeededRandom(1),
      timing: {
        stallMs: options.stallMs ?? 60_000,
        retryDelayMs: 1,
        retryDelayMsMax: 20,
        answerBytesMax: options.answerBytesMax ?? 1_000_000,
      },
      onChange: () => {
        for (const look of [...waiting]) look()
      },
    },
  )
  open.push(upstream, engine)
  await upstream.probe()
  const call: Bench['call'] = (line, past) =>
    new Promise((resolve) => {
      const body = Buffer.from(JSON.stringify({ model: 'm', line }))
      upstream.call(
        {
          model: 'm',
          endpoint: '/v1/chat/completions',
          body,
          idempotencyKey: line,
          requestId: `req_${line}`,
          doubtedAt: past?.doubtedAt ?? null,
          isSuspect: past?.isSuspect ?? false,
        },
        resolve,
      )
    })
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })
  return { upstream, engine, call, until }
}

test('an upstream that listed its models takes calls, and sends the body, the key and the ids as they are', async () => {
  const { upstream, engine, call } = await start({})
  assert.deepEqual(upstream.state(), { state: 'up', reason: null })
  assert.equal(upstream.free('m'), 8)
  assert.equal(upstream.free('other'), 0)
  const end = await call('one')
  assert.equal(end.verdict, 'succeeded')
  const [seen] = engine.calls
  assert.equal(seen?.path, '/v1/chat/completions')
  assert.equal(seen?.body.toString(), '{"model":"m","line":"one"}')
  assert.equal(seen?.authorization, 'Bearer secret')
  assert.equal(seen?.key, 'one')
  assert.equal(seen?.requestId, 'req_one')
})

test('a 401 pauses the upstream, uses no attempt, and one trial call brings it back', async () => {
  let isHealed = false
  const { upstream, call, until } = await start({
    script: () =>
      isHealed
        ? null
        : { status: 401, body: { error: { message: 'bad key', type: 'invalid_request_error' } } },
  })
  const end = await call('a')
  assert.equal(end.verdict, 'upstream')
  assert.equal(end.usesAttempt, false)
  assert.equal(upstream.state().state, 'paused')
  assert.match(upstream.state().reason ?? '', /^401 from http:.*: bad key$/)
  await until(() => upstream.free('m') === 1)
  isHealed = true
  assert.equal((await call('a')).verdict, 'succeeded')
  assert.equal(upstream.state().state, 'up')
  assert.equal(upstream.free('m'), 8)
})

test('a single 500 among successes counts as an attempt, without a neighbour it does not', async () => {
  const gate = Promise.withResolvers<void>()
  const { call, engine } = await start({
    script: ({ key }) =>
      key === 'bad' ? { status: 500, body: { error: { message: 'boom' } }, gate: gate.promise } : null,
  })
  const bad = call('bad')
  await engine.arrived(1)
  await call('good')
  gate.resolve()
  const end = await bad
  assert.equal(end.verdict, 'doubtful')
  assert.equal(end.usesAttempt, true)
  assert.equal((await call('bad')).usesAttempt, false)
})

test('a success of an older call says nothing against a line: an engine that breaks may still finish what it has', async () => {
  const gates = { old: Promise.withResolvers<void>(), bad: Promise.withResolvers<void>() }
  const { call, engine } = await start({
    script: ({ key }) =>
      key === 'bad' ? { status: 500, gate: gates.bad.promise } : { body: '{"a":1}', gate: gates.old.promise },
  })
  const old = call('old')
  await engine.arrived(1)
  const bad = call('bad')
  await engine.arrived(2)
  gates.old.resolve()
  assert.equal((await old).verdict, 'succeeded')
  gates.bad.resolve()
  assert.equal((await bad).usesAttempt, false)
})

test('a line fails alone: its trials use no attempt either', async () => {
  const { upstream, call, until } = await start({ script: () => ({ status: 500 }) })
  for (let count = 0; count < 5; count += 1) assert.equal((await call('a')).usesAttempt, false)
  for (let trial = 0; trial < 3; trial += 1) {
    assert.equal(upstream.state().state, 'paused')
    await until(() => upstream.free('m') === 1)
    assert.equal((await call('a')).usesAttempt, false)
  }
})

test('a line that failed while a newer call succeeded is blamed afterwards, also when it is the trial', async () => {
  const { upstream, call, until } = await start({
    script: ({ key }) => (key === 'good' ? null : { status: 500 }),
  })
  const first = await call('bad')
  await call('good')
  const second = await call('bad', { doubtedAt: first.startedAt })
  assert.deepEqual([first.usesAttempt, second.usesAttempt], [false, true])
  while (upstream.state().state !== 'paused') await call('others')
  await until(() => upstream.free('m') === 1)
  const end = await call('bad', { doubtedAt: first.startedAt, isSuspect: true })
  assert.equal(end.usesAttempt, true)
  assert.equal(upstream.state().state, 'paused')
})

test('a run of 500s pauses the upstream and uses no attempt', async () => {
  const { upstream, call } = await start({ script: () => ({ status: 500, body: 'oops' }) })
  const ends = await Promise.all(Array.from({ length: 8 }, (_, index) => call(`line ${index}`)))
  assert.deepEqual(new Set(ends.map((end) => end.usesAttempt)), new Set([false]))
  assert.equal(upstream.state().state, 'paused')
})

test('a 429 sends nothing before its Retry-After and then fewer at once', async () => {
  const { upstream, call, until } = await start({
    script: ({ number }) => (number === 0 ? { status: 429, headers: { 'retry-after-ms': '30' } } : null),
  })
  assert.equal((await call('a')).verdict, 'capacity')
  assert.equal(upstream.free('m'), 0)
  assert.equal(upstream.state().state, 'slowed')
  await until(() => upstream.free('m') > 0)
  assert.equal(upstream.free('m'), 5)
})

test('an engine that is not there is a fault of the upstream and comes back by its probe alone', async () => {
  const { upstream, engine, call, until } = await start({})
  await engine.stop()
  const end = await call('a')
  assert.ok(end.verdict === 'upstream' || end.verdict === 'doubtful')
  await upstream.probe()
  const next = await call('b')
  assert.equal(next.verdict, 'upstream')
  assert.match(next.reason, /ECONNREFUSED/)
  const again = await startScriptedUpstream({ models: ['m'], port: engine.port })
  open.push(again)
  await until(() => upstream.free('m') > 1)
  assert.equal((await call('b')).verdict, 'succeeded')
})

test('HTML, broken JSON, an empty body and a list are no answers', async () => {
  const bodies = ['<html>proxy</html>', '{"a":', '', '[1]', '"text"']
  for (const body of bodies) {
    const { call } = await start({ script: () => ({ status: 200, body }) })
    assert.equal((await call('a')).verdict, 'doubtful', body)
  }
})

test('a connection reset at any point, and an answer shorter than announced, are doubtful', async () => {
  for (const breakAt of ['reset', 'reset-in-headers', 'reset-in-body'] as const) {
    const { call } = await start({ script: () => ({ breakAt, body: { a: 'long enough to cut' } }) })
    assert.equal((await call('a')).verdict, 'doubtful', breakAt)
  }
  const { call } = await start({ script: () => ({ body: '{"a":1}', contentLength: 100 }) })
  assert.equal((await call('a')).verdict, 'doubtful')
})

test('an engine that falls silent is cut after the stall time', async () => {
  const { call } = await start({ stallMs: 1, script: () => ({ breakAt: 'hang' }) })
  const end = await call('a')
  assert.equal(end.verdict, 'doubtful')
  assert.match(end.reason, /no byte for 1 ms/)
})

test('an answer over the bound fails its line and is not held', async () => {
  const { call } = await start({ answerBytesMax: 1_000, script: () => ({ body: { a: 'x'.repeat(5_000) } }) })
  const end = await call('a')
  assert.equal(end.verdict, 'refused')
  assert.equal(end.answer, null)
})

test('a redirect is not followed', async () => {
  const { upstream, engine, call } = await start({
    script: () => ({ status: 302, headers: { location: 'http://127.0.0.1:9/' } }),
  })
  assert.equal((await call('a')).verdict, 'upstream')
  assert.equal(engine.calls.length, 1)
  assert.equal(upstream.state().state, 'paused')
})

test('a call that we cut says nothing about the engine', async () => {
  const { upstream, engine } = await start({ script: () => ({ breakAt: 'hang' }) })
  const ended = Promise.withResolvers<LineCallEnd>()
  const call = upstream.call(
    {
      model: 'm',
      endpoint: '/v1/chat/completions',
      body: Buffer.from('{}'),
      idempotencyKey: 'k',
      requestId: 'r',
      doubtedAt: null,
      isSuspect: false,
    },
    ended.resolve,
  )
  await engine.arrived(1)
  call.cut('the batch was cancelled')
  const end = await ended.promise
  assert.equal(end.usesAttempt, false)
  assert.equal(upstream.state().state, 'up')
})
