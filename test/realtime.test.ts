/** `dw realtime` as a process: before a scripted service that has only OpenAI's routes, and before our server. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { startDwRunner } from './kit/dw-runner.ts'
import {
  createGate,
  errorReply,
  type Reply,
  type Script,
  startScriptedUpstream,
} from './kit/scripted-upstream.ts'
import {
  type CommandResult,
  createSandbox,
  dwPath,
  runDw,
  runOnTerminal,
  startServerProcess,
} from './kit/server-process.ts'

const sandbox = createSandbox()
const service = await startScriptedUpstream({ models: ['llama-3', 'other'] })
const server = await startServerProcess(sandbox, ['--sim'])
const runner = startDwRunner()
after(async () => {
  await Promise.all([runner.stop(), server.kill('SIGTERM')])
  await service.stop()
  sandbox.remove()
})

const at = { cwd: sandbox.folder, env: sandbox.env }
const dw = (...words: string[]): Promise<CommandResult> => runner.run([...words, '--server', service.url], at)

function answering(script: Script): void {
  service.setScript(script)
}

const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`
const piece = (content: string, finish: string | null = null): string =>
  event({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })
const USAGE = event({ choices: [], usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 } })
const DONE = 'data: [DONE]\n\n'

function streamOf(...parts: readonly (string | Promise<void>)[]): Reply {
  async function* all(): AsyncGenerator<string> {
    yield 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n'
    for (const part of parts) {
      if (typeof part === 'string') yield part
      else await part
    }
  }
  return { raw: { parts: all(), end: 'close' } }
}

function start(words: readonly string[]): { child: ChildProcess; shown: (text: string) => Promise<void> } {
  const child = spawn(process.execPath, [dwPath, ...words, '--server', service.url], {
    ...at,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  const shown = async (text: string): Promise<void> => {
    while (!stdout.includes(text)) {
      // The pipe was asked for above.
      const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
      stdout += chunk.toString('utf8')
    }
  }
  return { child, shown }
}

test('each piece is written as it comes, and Ctrl-C ends the call with exit 130', async () => {
  const gate = createGate()
  answering(() => streamOf(piece('Hel'), gate.opened, piece('lo'), DONE))
  const { child, shown } = start(['realtime', 'llama-3', 'hi'])
  const ended = once(child, 'exit')
  await shown('Hel')
  const call = service.calls.at(-1)
  assert.equal(call?.endedAt, null, 'the answer is not whole')
  child.kill('SIGINT')
  assert.deepEqual(await ended, [130, null])
  while (call?.endedAt === null) await new Promise(setImmediate)
  assert.equal(call?.isCut, true)
  gate.open()
})

test('the request holds prompt, system prompt and limits, and no more than was asked for', async () => {
  answering(() => streamOf(piece('ok', 'stop'), DONE))
  const words = ['--system', 'Be brief', '--max-tokens', '50', '--temperature', '0.5']
  assert.equal((await dw('ask', 'llama-3', 'two', 'words', ...words)).exitCode, 0)
  const call = service.calls.at(-1)
  assert.equal(call?.path, '/v1/chat/completions')
  assert.deepEqual(JSON.parse(call?.body.toString('utf8') ?? ''), {
    model: 'llama-3',
    messages: [
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'two words' },
    ],
    max_tokens: 50,
    temperature: 0.5,
    stream: true,
  })
})

test('what is piped in follows below the prompt, or is the prompt, byte for byte', async () => {
  answering(() => streamOf(piece('ok\n', 'stop'), DONE))
  const asked = async (words: readonly string[], stdin: string): Promise<string> => {
    const ended = await runDw(['realtime', 'llama-3', ...words, '--server', service.url], { ...at, stdin })
    assert.equal(ended.exitCode, 0, ended.stderr)
    assert.equal(ended.stdout, 'ok\n')
    const body = JSON.parse(service.calls.at(-1)?.body.toString('utf8') ?? '')
    return body.messages[0].content
  }
  assert.equal(await asked(['Sum up:'], 'ä long\r\ntext\n'), 'Sum up:\n\nä long\r\ntext\n')
  assert.equal(await asked([], 'only this\n'), 'only this\n')
})

test('--usage tells tokens and times on stderr, stdout holds the answer alone, cut wherever the network cuts it', async () => {
  const bytes = Buffer.from(piece('né', null) + piece('😀', 'stop') + USAGE + DONE)
  async function* single(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n')
    for (const byte of bytes) yield Buffer.from([byte])
  }
  answering(() => ({ raw: { parts: single(), end: 'close' } }))
  const { exitCode, stdout, stderr } = await dw('realtime', 'llama-3', 'hi', '--usage')
  assert.equal(exitCode, 0)
  assert.equal(stdout, 'né😀\n')
  assert.match(
    stderr,
    /12 prompt \+ 3 completion tokens, first token after \d+\.\d\d s, \d+\.\d\d s in all, \d+\.\d tokens\/s/,
  )
  assert.deepEqual(JSON.parse(service.calls.at(-1)?.body.toString('utf8') ?? '').stream_options, {
    include_usage: true,
  })
  answering(() => streamOf(piece('x', 'stop'), DONE))
  assert.match((await dw('realtime', 'llama-3', 'hi', '--usage')).stderr, /tokens: not stated by the server/)
})

test('--json prints the whole answer as it came, --no-stream its words', async () => {
  const body = {
    id: 'a',
    extra: { kept: true },
    choices: [{ message: { content: 'whole' }, finish_reason: 'stop' }],
  }
  answering(() => ({ body }))
  const { stdout } = await dw('realtime', 'llama-3', 'hi', '--json')
  assert.deepEqual(JSON.parse(stdout), body)
  assert.equal('stream' in JSON.parse(service.calls.at(-1)?.body.toString('utf8') ?? ''), false)
  assert.equal((await dw('realtime', 'llama-3', 'hi', '--no-stream')).stdout, 'whole\n')
  // A service that ignores the wish for a stream.
  assert.equal((await dw('realtime', 'llama-3', 'hi')).stdout, 'whole\n')
})

test('an answer that breaks off, or reports an error on the way, is no success, and leaves no file', async () => {
  for (const [reply, code] of [
    [streamOf(piece('half of it')), 'answer_incomplete'],
    [streamOf(piece('half of it'), event({ error: { message: 'out of memory', code: 'oom' } })), 'oom'],
  ] as const) {
    answering(() => reply)
    const { exitCode, stdout, stderr } = await dw('realtime', 'llama-3', 'hi')
    assert.notEqual(exitCode, 0)
    assert.equal(stdout, 'half of it\n')
    assert.match(stderr, new RegExp(`error\\[${code}\\]`))
  }
  const path = sandbox.path('answer.txt')
  answering(() => streamOf(piece('half')))
  assert.notEqual((await dw('realtime', 'llama-3', 'hi', '-o', path)).exitCode, 0)
  assert.equal(existsSync(path), false)
  answering(() => streamOf(piece('all of it', 'stop'), DONE))
  assert.equal((await dw('realtime', 'llama-3', 'hi', '-o', path)).exitCode, 0)
  assert.equal(readFileSync(path, 'utf8'), 'all of it\n')
})

test('an answer that was cut off says by what', async () => {
  answering(() => streamOf(piece('x', 'length'), DONE))
  const long = await dw('realtime', 'llama-3', 'hi')
  assert.deepEqual([long.exitCode, /limit of tokens/.test(long.stderr)], [0, true])
  answering(() => streamOf(piece('x', 'content_filter'), DONE))
  const filtered = await dw('realtime', 'llama-3', 'hi')
  assert.deepEqual([filtered.exitCode, /content filter/.test(filtered.stderr)], [3, true])
})

test('a model that knows the limit of tokens by its newer name alone gets that', async () => {
  answering(({ body }) =>
    body.includes('"max_tokens"')
      ? errorReply(400, { code: 'unsupported_parameter', message: "Use 'max_completion_tokens' instead." })
      : streamOf(piece('ok', 'stop'), DONE),
  )
  assert.equal((await dw('realtime', 'llama-3', 'hi', '--max-tokens', '7')).stdout, 'ok\n')
  assert.equal(JSON.parse(service.calls.at(-1)?.body.toString('utf8') ?? '').max_completion_tokens, 7)
})

test('a mistyped model gets its nearest, from any service that lists its models', async () => {
  answering(() => errorReply(404, { code: 'model_not_found' }))
  const { exitCode, stderr } = await dw('realtime', 'lama-3', 'hi')
  assert.equal(exitCode, 5)
  assert.match(stderr, /error\[model_not_found\].*'lama-3'.*did you mean: llama-3/s)
})

test('without a prompt nothing is asked: a terminal is not waited for, and an empty pipe is no prompt', async () => {
  const before = service.calls.length
  const { exitCode, output } = await runOnTerminal(
    process.execPath,
    [dwPath, 'realtime', 'm', '--server', service.url],
    at,
  )
  assert.equal(exitCode, 2)
  assert.match(output, /There is no prompt/)
  assert.equal((await runDw(['realtime', 'm', '--server', service.url], { ...at, stdin: '' })).exitCode, 2)
  assert.equal((await dw('realtime', 'm', 'hi', '--temperature', 'warm')).exitCode, 2)
  assert.equal(service.calls.length, before)
})

test('R19: an answer of the simulated model is labelled on stderr, and its page says that it is simulated and has no price', async () => {
  const ours = (...words: string[]): Promise<CommandResult> =>
    runner.run([...words, '--server', server.url], at)
  const { stdout, stderr, exitCode } = await ours('realtime', 'sim/echo', 'one two', '--usage')
  assert.equal(exitCode, 0, stderr)
  assert.equal(stdout, 'one two\n')
  assert.match(stderr, /simulated model/)
  assert.match(stderr, /\d+ prompt \+ 2 completion tokens/)
  const unknown = await ours('realtime', 'gpt-4o', 'hi')
  assert.equal(unknown.exitCode, 5)
  assert.match(unknown.stderr, /error\[model_not_found\]/)
  const shown = await ours('models', 'get', 'sim/echo', '--output', 'table')
  assert.match(shown.stdout, /sim\/echo.*sim.*yes.*not set/)
  const { dw: extras } = JSON.parse((await ours('models', 'get', 'sim/echo', '--json')).stdout)
  assert.deepEqual(extras, {
    upstreams: [{ name: 'sim', state: 'up' }],
    simulated: true,
    priced: false,
    prices: [],
  })
  const mistyped = await ours('models', 'get', 'sim/ecko')
  assert.equal(mistyped.exitCode, 5)
  assert.match(mistyped.stderr, /did you mean: sim\/echo/)
})
