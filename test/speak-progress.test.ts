/** How a batch that runs is told of: as a bar, by the line, as events, over real processes and a service with OpenAI's routes alone. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, mock, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { CliEvent } from '../src/cli/events.ts'
import { createByteProgress } from '../src/cli/progress-bytes.ts'
import { createEvents } from '../src/cli/progress-events.ts'
import type { BatchView } from '../src/cli/progress-line.ts'
import { jsonSchemaOf } from '../src/cli/schemas/schemas.ts'
import { speechOf } from '../src/cli/speech.ts'
import { createSandbox, dwPath, runDw, runOnTerminal } from './kit/server-process.ts'

/** Long enough to measure a speed by looks a second apart. */
const RUN_MS = 4_000
const LINES = 400
const ID = 'batch_constant'

const sandbox = createSandbox()
const { promise: firstSign, resolve: seen } = Promise.withResolvers<void>()
const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>()
let beganAt: number | null = null

/** At a constant rate from the first answer on; that one waits until the test has seen a sign. */
function batchNow(): Record<string, unknown> {
  beganAt ??= performance.now()
  const completed = Math.min(LINES, Math.floor(((performance.now() - beganAt) / RUN_MS) * LINES))
  return {
    id: ID,
    object: 'batch',
    endpoint: '/v1/chat/completions',
    status: completed === LINES ? 'completed' : 'in_progress',
    input_file_id: 'file-a',
    completion_window: '24h',
    created_at: Math.floor(Date.now() / 1_000),
    expires_at: Math.floor(Date.now() / 1_000) + 86_400,
    request_counts: { total: LINES, completed, failed: 0 },
  }
}
const server = createServer(async (_request, response) => {
  wasAsked()
  await firstSign
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(batchNow()))
})
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
const env = { ...sandbox.env, DW_SERVER: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
after(() => {
  server.closeAllConnections()
  server.close()
  sandbox.remove()
})

const eventSchema = new Ajv2020({ strict: false }).compile(jsonSchemaOf('event'))
const eventsIn = (text: string): (CliEvent & { schema: string })[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const parsed: unknown = JSON.parse(line)
      assert.ok(eventSchema(parsed), line)
      // As the schema says.
      return parsed as CliEvent & { schema: string }
    })

type Line = { at: number; text: string }

/** Standard error by the line, with the moment at which each came. */
async function linesOf(
  words: readonly string[],
  onLine?: () => void,
): Promise<{ lines: Line[]; code: number }> {
  const child = spawn(process.execPath, [dwPath, ...words], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const lines: Line[] = []
  let rest = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts.map((text) => ({ at: performance.now(), text })))
    onLine?.()
  })
  const [code] = await once(child, 'close')
  return { lines, code }
}

test('R6: a constant rate is told by bar, by lines and as events; the first sign waits for no answer, the ETA is right', async () => {
  const eventsPath = sandbox.path('events.jsonl')
  const watch = ['batches', 'watch', ID]
  const [bar, plain, json] = await Promise.all([
    runOnTerminal(process.execPath, [dwPath, ...watch], { env }),
    linesOf([...watch, '--events-file', eventsPath], seen),
    linesOf([...watch, '--progress', 'json']),
    asked,
  ])
  assert.deepEqual([bar.exitCode, plain.code, json.code], [0, 0, 0])

  // Drawn anew in place, with all figures.
  assert.match(
    stripVTControlCharacters(bar.output),
    /batch_\S* {2}█+░+ +\d+% {2}\d+\/400 {2}\d+ req\/s {2}ETA \d+s {2}due 23h59m/,
  )
  assert.ok(bar.output.includes('\u001b[1A\r'))

  const text = plain.lines.map((line) => `${line.text}\n`).join('')
  assert.doesNotMatch(text, /[^\P{Cc}\n]/u, 'a pipe gets no control characters')
  assert.match(
    text,
    /^\d\d:\d\d:\d\d batch_constant no answer yet\n\d\d:\d\d:\d\d batch_constant in_progress \d+\/400 \(\d+%\) failed=0/,
  )
  assert.match(text, /batch_constant completed 400\/400 \(100%\) failed=0/)

  const events = eventsIn(json.lines.map((line) => line.text).join('\n'))
  assert.equal(events[0]?.event, 'progress')
  assert.equal(events.at(-1)?.event, 'ended')
  const endedAt = (beganAt ?? 0) + RUN_MS
  const judged = events.flatMap((event, place) => {
    if (event.event !== 'progress' || event.status !== 'in_progress' || event.done / event.total < 0.2)
      return []
    return [{ eta: event.eta_s, left: (endedAt - (json.lines[place]?.at ?? 0)) / 1_000 }]
  })
  assert.ok(judged.length >= 2, JSON.stringify(events))
  // A figure of the last second is about the looks, not about the rate.
  for (const { eta, left } of judged.filter((one) => one.left > 1))
    assert.ok(eta !== null && Math.abs(eta - left) <= 0.2 * left, `ETA ${eta} where ${left} were left`)
  for (const { schema } of events) assert.equal(schema, 'dw.event/v1')

  const filed = eventsIn(readFileSync(eventsPath, 'utf8'))
  assert.equal(filed.at(-1)?.event, 'ended')
})

test('R6: nothing else stands on standard error with --progress json: words are left out, warnings and errors are JSON', async () => {
  const wrong = await runDw(['batches', 'watch', '--progress', 'json'], { env })
  assert.equal(JSON.parse(wrong.stderr).error.code, 'usage')
  const ended = await runDw(['batches', 'watch', ID, '--progress', 'json', '--verbose'], { env })
  assert.deepEqual(
    eventsIn(ended.stderr)
      .map(({ event }) => event)
      .toSorted(),
    ['ended', 'progress', 'progress', 'warning'],
  )
  const quiet = await runDw(['batches', 'watch', ID, '--progress', 'none'], { env })
  assert.doesNotMatch(quiet.stderr, /in_progress/)
})

test('R6: what stands still is told of every ten seconds, what moves at most once a second, a new state at once', () => {
  mock.timers.enable({ apis: ['setInterval', 'Date'] })
  const view: BatchView = {
    id: 'batch_a',
    status: 'in_progress',
    total: 10,
    completed: 0,
    failed: 0,
    isEnded: false,
    requestsPerSecond: null,
    tokensPerSecond: null,
    etaMs: 1_234,
    dueMs: null,
    reason: null,
    trouble: null,
  }
  const told: CliEvent[] = []
  const display = createEvents((event) => told.push(event), {
    views: () => [view],
    now: Date.now,
    told: new Map(),
  })
  assert.equal(told.length, 1)
  view.completed = 1
  display.changed()
  assert.equal(told.length, 1, 'too soon')
  mock.timers.tick(1_000)
  display.changed()
  assert.equal(told.length, 2)
  mock.timers.tick(30_000)
  assert.equal(told.length, 5, 'a heartbeat')
  view.reason = 'waiting: 401'
  display.changed()
  assert.equal(told.length, 6)
  Object.assign(view, { isEnded: true, status: 'completed' })
  display.changed()
  display.end()
  mock.timers.tick(30_000)
  assert.deepEqual(
    told.slice(6).map(({ event }) => event),
    ['progress', 'ended'],
  )
  mock.timers.reset()
})

test('R6: a transfer gives its first sign within a second and then every ten, also when it stalls', () => {
  mock.timers.enable({ apis: ['setInterval'] })
  let now = 0
  mock.method(performance, 'now', () => now)
  const lines: string[] = []
  // As much of the stream as is used.
  const stderr = { write: (text: string) => lines.push(text) } as unknown as NodeJS.WriteStream
  const output = { progress: 'lines' as const, columns: () => 80, stderr, event: () => undefined }
  const progress = createByteProgress(output, { label: 'sending a.jsonl', total: 1_000 })
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      now += 100
      mock.timers.tick(100)
    }
  }
  pass(400)
  assert.equal(lines.length, 0, 'what is over at once needs no word')
  pass(600)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /^sending a\.jsonl {2}░+ {4}0% {2}0 B\/1000 B\n$/)
  progress.update(500)
  pass(20_000)
  assert.equal(lines.length, 3)
  progress.end()
  pass(20_000)
  assert.equal(lines.length, 3)
  mock.restoreAll()
  mock.timers.reset()
})

test('R6: bars are for a screen alone: a pipe, a dumb terminal, an agent and a log on the same screen get lines', () => {
  const mode = (options: Record<string, unknown>, env: NodeJS.ProcessEnv = {}, stderr = true) =>
    speechOf({ options, env: { TERM: 'xterm', ...env }, tty: { stdin: true, stdout: true, stderr } }).progress
  assert.equal(mode({}), 'bar')
  assert.equal(mode({}, {}, false), 'lines')
  assert.equal(mode({ progress: 'bar' }, {}, false), 'lines')
  assert.equal(mode({}, { TERM: 'dumb' }), 'lines')
  assert.equal(mode({}, { AI_AGENT: 'x' }), 'lines')
  assert.equal(mode({ debug: true }), 'lines')
  assert.equal(mode({ debug: true }, { DW_LOG_FILE: '/tmp/log' }), 'bar')
  assert.equal(mode({ quiet: true }), 'none')
  assert.equal(mode({ quiet: true, progress: 'json' }), 'json')
})
