/** A command with --upstream and no server: ended in the middle in any way, the same command goes on and asks nothing twice that it knows. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ask, type WireBatch } from './kit/batch-api.ts'
import { countIds, parseLines, writeChatFile } from './kit/requests.ts'
import {
  createGate,
  errorReply,
  plainAnswer,
  type ScriptedUpstream,
  startScriptedUpstream,
} from './kit/scripted-upstream.ts'
import { createSandbox, dwPath, type Sandbox } from './kit/server-process.ts'

const MODEL = 'scripted'
const LINES = 120
/** Calls that are answered before the upstream falls silent. */
const ANSWERED = 10
const CONCURRENCY = 4
/** What a call takes after the silence: the command has long stopped making new ones before they are all made. */
const SLOW_MS = 50
/** Guess: between two looks at a batch that is at work. */
const LOOK_MS = 20

let sandbox: Sandbox
let upstream: ScriptedUpstream

beforeEach(async () => {
  sandbox = createSandbox()
  upstream = await startScriptedUpstream({ models: [MODEL] })
  writeChatFile(sandbox.path('requests.jsonl'), LINES, { model: MODEL })
})
afterEach(async () => {
  await upstream.stop()
  sandbox.remove()
})

type Running = {
  child: ChildProcess
  stderr: () => string
  ended: Promise<number | null>
  says: (words: RegExp) => Promise<void>
}

function start(...more: string[]): Running {
  // However it is written, it is one upstream.
  const url = upstream.url.replace(/\/v1$/, '/')
  const words = [
    ...[dwPath, 'run', 'requests.jsonl', '-o', 'answers.jsonl'],
    ...['--upstream', url, '--concurrency', String(CONCURRENCY), '--json', ...more],
  ]
  const child = spawn(process.execPath, words, {
    cwd: sandbox.folder,
    env: sandbox.env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  const changed = new EventTarget()
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    changed.dispatchEvent(new Event('more'))
  })
  const ended = once(child, 'close').then(() => child.exitCode)
  const says = async (words: RegExp): Promise<void> => {
    while (!words.test(stderr)) {
      const isOver = await Promise.race([once(changed, 'more').then(() => false), ended.then(() => true)])
      if (isOver && !words.test(stderr)) throw new Error(`ended without ${words}:\n${stderr}`)
    }
  }
  return { child, stderr: () => stderr, ended, says }
}

/** Starts it, and returns when as many answers as there are before the silence are durable, and the rest waits. */
async function startUntilSilent(): Promise<Running & { open: () => void }> {
  const gate = createGate()
  upstream.setScript((call) =>
    call.number < ANSWERED ? null : { gate: gate.opened.then(() => delay(SLOW_MS)), body: plainAnswer(call) },
  )
  const running = start()
  await upstream.arrived(ANSWERED + CONCURRENCY)
  await durable(running)
  return { ...running, open: gate.open }
}

/** Resolves when the server of the command tells that what was answered is recorded. */
async function durable(running: Running): Promise<void> {
  const { url, folder } = await serverOf(running)
  const headers = { authorization: `Bearer ${readFileSync(`${folder}/owner-token`, 'utf8').trim()}` }
  for (;;) {
    const { data } = await ask<{ data: WireBatch[] }>(`${url}/v1/batches`, { headers })
    if (data[0]?.request_counts.completed === ANSWERED) return
    await delay(LOOK_MS)
  }
}

async function serverOf(running: Running): Promise<{ url: string; folder: string }> {
  await running.says(/kept in .+\n/)
  const folder = /kept in (.+)\n/.exec(running.stderr())?.[1] ?? ''
  const [name = ''] = readdirSync(`${folder}/state/servers`)
  return { url: JSON.parse(readFileSync(`${folder}/state/servers/${name}`, 'utf8')).url, folder }
}

async function finish(): Promise<void> {
  upstream.setScript(() => null)
  const again = start()
  assert.equal(await again.ended, 0, again.stderr())
  assert.match(again.stderr(), /made .+ ago of the same requests, is in_progress: going on with it/)
  const answers = parseLines(readFileSync(sandbox.path('answers.jsonl'), 'utf8'))
  assert.equal(answers.length, LINES)
  assert.equal(countIds(answers).size, LINES)
}

function factsOf(running: Running): { code: string; message: string; hint: string } {
  return JSON.parse(running.stderr().trimEnd().split('\n').at(-1) ?? '').error
}

test('Ctrl-C waits for what is in flight, says how to go on, and the same command asks nothing twice', async () => {
  const first = await startUntilSilent()
  first.child.kill('SIGINT')
  await first.says(/Stopping: requests in flight/)
  first.open()
  assert.equal(await first.ended, 130, first.stderr())
  assert.match(first.stderr(), /Paused with 1 unfinished batch\. The same command goes on\./)
  assert.doesNotMatch(first.stderr(), /keeps running|dw batches/)
  assert.ok(upstream.callsByKey.size < LINES)
  await finish()
  assert.deepEqual(
    [...upstream.callsByKey.values()],
    Array.from({ length: LINES }, () => 1),
  )
})

test('one command at a time has the folder of an upstream; after a kill only what was in flight is asked again', async () => {
  const first = await startUntilSilent()
  const { url, folder } = await serverOf(first)
  assert.ok(folder.startsWith(sandbox.path('dw-state/embedded/127.0.0.1-')), folder)
  assert.equal(statSync(folder).mode & 0o077, 0)
  assert.ok(
    !existsSync(sandbox.path('dw-state/servers')),
    'other commands do not take it for a server of theirs',
  )
  assert.equal((await fetch(`${url}/v1/batches`)).status, 401)

  const second = start()
  assert.equal(await second.ended, 1, second.stderr())
  assert.equal(factsOf(second).code, 'upstream_busy')
  assert.ok(factsOf(second).message.includes(`(${first.child.pid}) works with --upstream ${upstream.url}`))

  const known = upstream.calls.slice(0, ANSWERED).map(({ key }) => key)
  first.child.kill('SIGKILL')
  await first.ended
  first.open()
  await finish()
  assert.equal(upstream.callsByKey.size, LINES)
  for (const key of known) assert.equal(upstream.callsByKey.get(key), 1)
  assert.equal(upstream.calls.length, LINES + CONCURRENCY)
})

test('a dry run goes on with nothing, and what needs a server that stays is refused', async () => {
  const first = await startUntilSilent()
  first.child.kill('SIGKILL')
  await first.ended
  const calls = upstream.calls.length
  const planned = start('--dry-run')
  assert.equal(await planned.ended, 0, planned.stderr())
  assert.equal(upstream.calls.length, calls)
  const detached = start('--detach')
  assert.equal(await detached.ended, 2)
  assert.match(factsOf(detached).message, /--detach needs a server that goes on/)
  first.open()
})

test('an upstream that refuses or is not there is named before anything is sent', async () => {
  upstream.setModelsReply(errorReply(401, { message: 'no key' }))
  const refused = start()
  assert.equal(await refused.ended, 4, refused.stderr())
  assert.match(factsOf(refused).message, /does not answer as it should: 401/)
  assert.match(factsOf(refused).hint, /--upstream-key-env/)
  await upstream.stop()
  const gone = start()
  assert.equal(await gone.ended, 9, gone.stderr())
  assert.match(factsOf(gone).message, /ECONNREFUSED/)
})
