/** The log of a command: what it tells at each level, where it goes, and that it holds neither keys nor prompts. */
import assert from 'node:assert/strict'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { withoutSecrets } from '../src/cli/debug-log.ts'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import { writeChatFile } from './kit/requests.ts'
import { createSandbox, type ServerProcess, startServerProcess } from './kit/server-process.ts'

const PROMPT = 'the quick brown secret of the fox'
const UPSTREAM_KEY = 'sk-upstream-0123456789abcdef'
const sandbox = createSandbox()
let server: ServerProcess
let runner: DwRunner
/** The last that was made: from the first on everybody needs one. */
let key = ''

before(async () => {
  server = await startServerProcess(sandbox, ['--sim'])
  runner = startDwRunner()
  writeChatFile(sandbox.path('f.jsonl'), 3, { content: (number) => `${PROMPT} ${number}` })
})
after(async () => {
  await runner.stop()
  await server.kill('SIGKILL')
  sandbox.remove()
})

const dw = (words: readonly string[], more: NodeJS.ProcessEnv = {}) =>
  runner.run(words, { cwd: sandbox.folder, env: { ...sandbox.env, DW_SERVER: server.url, ...more } })

/** Everything that a person does with a batch, with a key; returns what was logged. */
async function wholeRun(flag: string): Promise<{ logged: string; secrets: string[] }> {
  const path = sandbox.path(`${flag}.log`)
  const env: NodeJS.ProcessEnv = { DW_LOG_FILE: path, SOME_KEY: UPSTREAM_KEY }
  const step = async (words: readonly string[], exit = 0): Promise<string> => {
    const { exitCode, stdout, stderr } = await dw([...words, flag], env)
    assert.equal(exitCode, exit, `${words.join(' ')}: ${stderr}`)
    return stdout
  }
  key = JSON.parse(await step(['keys', 'create', '--name', 'somebody'])).key as string
  env.DW_API_KEY = key
  await step(['upstream', 'list'])
  await step(['files', 'validate', 'f.jsonl'])
  const file = JSON.parse(await step(['files', 'upload', 'f.jsonl'])).id as string
  await step(['files', 'content', file])
  const batch = JSON.parse(await step(['batches', 'run', 'f.jsonl', '--watch'])).id as string
  await step(['batches', 'results', batch, '-o', `results${flag}.jsonl`])
  await step(['batches', 'list'])
  await step(['batches', 'get', 'batch_none'], 5)
  await step(['batches', 'get', `batch_none?api_key=${key}`], 5)
  await step(['files', 'delete', file, '--yes'])
  env.DW_API_KEY = `${key}x`
  await step(['batches', 'list'], 4)
  const token = readFileSync(join(sandbox.dataDir, 'owner-token'), 'utf8').trim()
  return { logged: readFileSync(path, 'utf8'), secrets: [key, token, UPSTREAM_KEY] }
}

test('R36: a whole run with --debug logs every call, and no key, token or prompt', async () => {
  const { logged, secrets } = await wholeRun('--debug')
  assert.match(logged, /debug POST http:\S+\/v1\/files 200 \d+ ms request id req_\w+/)
  assert.match(logged, /debug POST http:\S+\/v1\/batches 200 \d+ ms request id req_\w+/)
  assert.match(logged, /debug GET http:\S+\/v1\/batches\/batch_none 404 \d+ ms request id req_\w+/)
  assert.match(logged, /info {2}dw batches run ended with exit code 0/)
  assert.match(logged, /error dw batches get failed: http_404/)
  assert.match(logged, /\bauthorization\b/, 'that one was sent is told')
  for (const secret of secrets) assert.ok(!logged.includes(secret), secret)
  assert.doesNotMatch(logged, /Bearer (?!\*)/)
  assert.ok(!logged.includes(PROMPT))
})

test('R36: --debug-bodies shows prompts, and still no key', async () => {
  const { logged, secrets } = await wholeRun('--debug-bodies')
  assert.ok(logged.includes(PROMPT))
  for (const secret of secrets) assert.ok(!logged.includes(secret), secret)
})

test('R6: a batch is told of from its submission to its end, beside the words', async () => {
  const path = sandbox.path('events.jsonl')
  const env = { DW_API_KEY: key }
  const result = await dw(['batches', 'run', 'f.jsonl', '--watch', '--events-file', path], env)
  assert.equal(result.exitCode, 0, result.stderr)
  const events = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; batch_id: string; total: number })
  assert.equal(events[0]?.event, 'submitted')
  assert.equal(events[1]?.event, 'progress')
  assert.equal(events.at(-1)?.event, 'ended')
  assert.equal(new Set(events.map((event) => event.batch_id)).size, 1)
  assert.equal(events.at(-1)?.total, 3)
})

test('R36: the file of a log is for its owner alone, also where it was there with wider rights', async () => {
  for (const name of ['new.log', 'wide.log']) {
    const path = sandbox.path(name)
    if (name === 'wide.log') {
      writeFileSync(path, 'before\n')
      chmodSync(path, 0o644)
    }
    const { stderr } = await dw(['models', 'list'], { DW_LOG_FILE: path, DW_LOG: 'debug', DW_API_KEY: 'x' })
    assert.doesNotMatch(stderr, / debug /)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.match(readFileSync(path, 'utf8'), name === 'wide.log' ? /^before\n.* debug GET/ : /^\S+ debug GET/)
  }
})

test('R36: a retry is silent, told with --verbose and with DW_LOG=warn, once each', async () => {
  let asked = 0
  const failing = createServer((_request, response) => {
    asked += 1
    const isGood = asked % 2 === 0
    response.writeHead(isGood ? 200 : 503, { 'retry-after-ms': '1', 'content-type': 'application/json' })
    response.end('{"object":"list","data":[]}')
  })
  await new Promise<void>((resolve) => void failing.listen(0, '127.0.0.1', resolve))
  const { port } = failing.address() as AddressInfo
  const list = ['models', 'list', '--server', `http://127.0.0.1:${port}`]
  const retries = async (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> => {
    const { exitCode, stderr } = await dw([...list, ...words], env)
    assert.equal(exitCode, 0, stderr)
    return stderr.match(/trying again in 0\.0 s/g)?.length ?? 0
  }
  assert.equal(await retries([]), 0)
  assert.equal(await retries(['-v']), 1)
  assert.equal(await retries(['--verbose', '--quiet']), 1)
  assert.equal(await retries([], { DW_LOG: 'warn' }), 1)
  assert.equal(await retries(['-v'], { DW_LOG: 'warn' }), 1)
  assert.equal(await retries([], { DW_LOG: 'error' }), 0)
  assert.equal(await retries(['-v'], { DW_LOG: 'error' }), 1)
  assert.equal(await retries(['--debug']), 1)
  failing.close()
  failing.closeAllConnections()
})

test('R36: a level that is none, and a file that cannot be written, are wrong words', async () => {
  const level = await dw(['models', 'list'], { DW_LOG: 'loud' })
  assert.equal(level.exitCode, 2)
  assert.match(level.stderr, /DW_LOG 'loud' is no level.*\n {2}It takes error, warn, info, debug\./)
  const file = await dw(['models', 'list'], { DW_LOG_FILE: sandbox.path('no/such/folder') })
  assert.equal(file.exitCode, 2)
})

test('what looks like a key is struck out wherever it stands', () => {
  const words =
    'Bearer abc.def "api_key": "x\\"y" dw_abcdefghijklmnop sk-abcdefghijklmnop file-abcdefghijklmnop'
  assert.equal(withoutSecrets(words), 'Bearer *** "api_key": "***" *** *** file-abcdefghijklmnop')
})
