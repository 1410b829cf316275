/** The table of exit codes against real servers: what happened × the command that met it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { CommandSpec } from '../src/cli/command.ts'
import { commands } from '../src/cli/commands.ts'
import { type ExitName, exitCode, exitCodes } from '../src/cli/exit-codes.ts'
import { exitsOf } from '../src/cli/help.ts'
import { jsonSchemaOf } from '../src/cli/schemas/schemas.ts'
import { batchWhen, createBatch, endedStatuses, uploadFile } from './kit/batch-api.ts'
import { startDw } from './kit/dw-child.ts'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import { type OpenAiService, startOpenAiService } from './kit/openai-service.ts'
import { chatLine, jsonl } from './kit/requests.ts'
import {
  createGate,
  errorReply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from './kit/scripted-upstream.ts'
import {
  type CommandResult,
  createSandbox,
  runDw,
  type ServerProcess,
  startServerProcess,
} from './kit/server-process.ts'

const sandbox = createSandbox()
const locked = createSandbox()
/** Where nothing names a server and none is found. */
const lonely = createSandbox()
const gate = createGate()
let upstream: ScriptedUpstream
let server: ServerProcess
let lockedServer: ServerProcess
let service: OpenAiService
let runner: DwRunner
const ids: Record<'good' | 'partly' | 'failed' | 'cancelled' | 'running' | 'file', string> = {
  ...{ good: '', partly: '', failed: '', cancelled: '', running: '', file: '' },
}

before(async () => {
  upstream = await startScriptedUpstream({
    models: ['test'],
    script: ({ body }) => {
      if (body.includes('please fail')) return errorReply(400, { code: 'content_filter' })
      return body.includes('please wait') ? { gate: gate.opened } : null
    },
  })
  server = await startServerProcess(sandbox, ['--no-sim'])
  lockedServer = await startServerProcess(locked, ['--sim', '--require-key'])
  service = await startOpenAiService()
  runner = startDwRunner()
  const good = [1, 2].map((number) => chatLine(number, { model: 'test' }))
  const files: Record<string, string> = {
    good: jsonl(good),
    partly: jsonl([...good, chatLine(3, { model: 'test', content: 'please fail' })]),
    failed: '{"custom_id":"a"}\nno json\n',
    running: jsonl([chatLine(1, { model: 'test', content: 'please wait' })]),
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(sandbox.path(`${name}.jsonl`), text)
  await runner.run(['upstream', 'add', upstream.url], here())
  for (const name of ['good', 'partly', 'failed', 'running'] as const) {
    const file = await uploadFile(server.url, sandbox.path(`${name}.jsonl`))
    ids[name] = (await createBatch(server.url, file)).id
    if (name === 'good') ids.file = file
  }
  ids.cancelled = (
    await createBatch(server.url, await uploadFile(server.url, sandbox.path('running.jsonl')))
  ).id
  await batchWhen(server.url, ids.running, ({ status }) => status === 'in_progress')
  await runner.run(['batches', 'cancel', ids.cancelled, '--yes'], here())
  gate.open()
  for (const name of ['good', 'partly', 'failed', 'cancelled'] as const)
    await batchWhen(server.url, ids[name], ({ status }) => endedStatuses.has(status))
})
after(async () => {
  await runner.stop()
  await service.stop()
  await lockedServer.kill('SIGKILL')
  await server.kill('SIGKILL')
  await upstream.stop()
  for (const one of [sandbox, locked, lonely]) one.remove()
})

function here(): { cwd: string; env: NodeJS.ProcessEnv } {
  return { cwd: sandbox.folder, env: { ...sandbox.env, DW_SERVER: server.url } }
}

type Scenario = {
  what: string
  exit: ExitName
  /** Command lines without `dw`, with `{name}` for an id. */
  lines: readonly string[]
  at?: () => { cwd: string; env: NodeJS.ProcessEnv }
  /** Longer than the others; the rest must be quick. */
  isWords?: true
}

const reading = [
  'batches list',
  'batches get {good}',
  'batches results {good}',
  'batches watch {good}',
  'batches analytics {good}',
  'files list',
  'files get {file}',
  'files content {file}',
  'models list',
]

const scenarios: readonly Scenario[] = [
  {
    what: 'all is well',
    exit: 'ok',
    lines: [
      ...reading,
      'batches create --file {file}',
      'files validate good.jsonl',
      'run good.jsonl -o out.jsonl',
      'upstream list',
      'config show',
      'schema',
      'help exit-codes',
    ],
  },
  {
    what: 'one request failed',
    exit: 'failures',
    lines: [
      'batches results {partly}',
      'batches watch {partly}',
      'run partly.jsonl -o out.jsonl',
      'batches run partly.jsonl --watch',
      'wait {partly}',
      'results {partly}',
    ],
  },
  {
    what: 'one request failed, and that is allowed',
    exit: 'ok',
    lines: [
      'batches results {partly} --allow-failures 1',
      'batches watch {partly} --allow-failures 50%',
      'run partly.jsonl -o out.jsonl --allow-failures 1',
    ],
  },
  { what: 'the files differ', exit: 'failures', lines: ['files diff good.jsonl partly.jsonl'] },
  {
    what: 'the input was not valid',
    exit: 'notCompleted',
    lines: ['batches watch {failed}', 'batches results {failed}'],
  },
  {
    what: 'the batch was cancelled',
    exit: 'notCompleted',
    lines: ['batches watch {cancelled}', 'batches results {cancelled}'],
  },
  {
    what: 'the input is not valid',
    exit: 'invalidInput',
    lines: [
      'run failed.jsonl',
      'stream failed.jsonl',
      'batches run failed.jsonl',
      'files validate failed.jsonl',
      'files prepare failed.jsonl --model x -o out.jsonl',
      'files cost-estimate failed.jsonl',
    ],
  },
  {
    what: 'there is no such object',
    exit: 'notFound',
    lines: [
      'batches get batch_none',
      'batches results batch_none',
      'batches watch batch_none',
      'batches cancel batch_none --yes',
      'batches retry batch_none',
      'batches analytics batch_none',
      'batches create --file file-none',
      'files get file-none',
      'files content file-none',
      'files delete file-none --yes',
      'models get none',
      'upstream test none',
      'keys revoke key_none --yes',
      'schema none',
    ],
  },
  {
    what: 'no key is given where one is needed',
    exit: 'notAllowed',
    lines: [...reading, 'batches create --file {file}', 'run good.jsonl'],
    at: () => ({ cwd: sandbox.folder, env: { ...lonely.env, DW_SERVER: lockedServer.url } }),
  },
  {
    what: 'no owner token is found',
    exit: 'notAllowed',
    lines: ['upstream list', 'upstream test x', 'keys list', 'keys create --name x'],
    at: () => ({ cwd: sandbox.folder, env: { ...lonely.env, DW_SERVER: server.url } }),
  },
  {
    what: 'nothing listens there',
    exit: 'unreachable',
    lines: ['batches list'],
    at: () => ({ cwd: sandbox.folder, env: { ...lonely.env, DW_SERVER: 'http://127.0.0.1:9' } }),
  },
  {
    what: 'the service allows no more',
    exit: 'quota',
    lines: ['batches list', 'files list', 'models list'],
    at: () => ({ cwd: sandbox.folder, env: { ...lonely.env, ...service.env } }),
  },
  { what: 'it may cost more than allowed', exit: 'quota', lines: ['run good.jsonl --max-cost 1 --new'] },
  { what: 'it has ended already', exit: 'unexpected', lines: ['batches cancel {good} --yes'] },
  {
    what: 'a value is wrong',
    exit: 'usage',
    lines: [
      'batches list --limit 0',
      'batches results {good} --order up',
      'models list --output xml',
      'batches run good.jsonl -w soon',
      'keys create',
      'batches results',
      'batches cancel {good}',
      'files delete {file}',
    ],
  },
]

const outcomes: { line: string; spec: CommandSpec; exit: ExitName; result: CommandResult }[] = []
const seen = new Set<ExitName>()

for (const { what, exit, lines, at = here } of scenarios) {
  test(`R2: ${what}: ${exitCode(exit)}`, async () => {
    service.interfere = () => ({
      status: 429,
      body: { error: { message: 'Slow down.', code: 'rate_limit_exceeded' } },
      headers: { 'x-should-retry': 'false' },
    })
    for (const line of lines.filter(isKnown)) {
      const words = line.replaceAll(/\{(\w+)\}/g, (_, name: keyof typeof ids) => ids[name]).split(' ')
      const result = await runner.run([...words, '--json'], at())
      assert.equal(result.exitCode, exitCode(exit), `dw ${line}\n${result.stdout}${result.stderr}`)
      outcomes.push({ line, exit, result, spec: specOf(line) as CommandSpec })
      seen.add(exit)
    }
  })
}

test('R2: a batch that still runs: 8', async (t) => {
  const held = createGate()
  const waiting = await startScriptedUpstream({
    models: ['held'],
    script: ({ body }) => (body.includes('please wait') ? { gate: held.opened } : null),
  })
  t.after(() => {
    held.open()
    return waiting.stop()
  })
  await runner.run(['upstream', 'add', waiting.url, '--name', 'held'], here())
  writeFileSync(sandbox.path('held.jsonl'), jsonl([chatLine(1, { model: 'held', content: 'please wait' })]))
  const { id } = await createBatch(server.url, await uploadFile(server.url, sandbox.path('held.jsonl')))
  await batchWhen(server.url, id, ({ status }) => status === 'in_progress')
  for (const line of [`batches results ${id}`, `batches retry ${id}`, `wait ${id} --timeout 1s`].filter(
    isKnown,
  )) {
    const result = await runner.run([...line.split(' '), '--json'], here())
    assert.equal(result.exitCode, exitCode('stillRunning'), `${line}\n${result.stderr}`)
    outcomes.push({ line, exit: 'stillRunning', result, spec: specOf(line) as CommandSpec })
    seen.add('stillRunning')
  }
  const watching = startDw(['batches', 'watch', id], here())
  await watching.says(new RegExp(id))
  watching.kill('SIGINT')
  assert.equal((await watching.ended).exitCode, exitCode('interrupted'))
  seen.add('interrupted')
})

test('R2: of every command: a flag that there is not ends with 2, and no server at all with 9 where it asks one', async () => {
  const at = { cwd: lonely.folder, env: lonely.env }
  for (const spec of commands) {
    const flag = await runner.run([...spec.path, '--xylophone', '--json'], at)
    assert.equal(flag.exitCode, exitCode('usage'), spec.path.join(' '))
    outcomes.push({ line: `${spec.path.join(' ')} --xylophone`, exit: 'usage', result: flag, spec })
  }
  for (const line of [
    'batches list',
    'batches get batch_a',
    'batches watch batch_a',
    'files list',
    'files get file-a',
    'models list',
    'upstream list',
    'keys list',
    'usage',
    'whoami',
    'webhooks list',
  ].filter(isKnown)) {
    const result = await runner.run([...line.split(' '), '--json'], at)
    assert.equal(result.exitCode, exitCode('unreachable'), `${line}\n${result.stderr}`)
    outcomes.push({ line, exit: 'unreachable', result, spec: specOf(line) as CommandSpec })
  }
})

test('R2: every exit code of the table was met, but for the one of a signal that ends it at once', () => {
  const names = Object.keys(exitCodes) as ExitName[]
  assert.deepEqual(
    names.filter((name) => !seen.has(name) && name !== 'terminated'),
    [],
  )
})

test('R2: no command ended with an exit code that its help does not name', () => {
  const wrong = outcomes
    .filter(({ spec, exit }) => !exitsOf(spec).includes(exit))
    .map(({ line, exit }) => `${line}: ${exit}`)
  assert.deepEqual(wrong, [])
})

test('R13: with --json every error is one object on standard error that fits its schema', () => {
  const validate = new Ajv2020({ strict: false, allErrors: true }).compile(jsonSchemaOf('error'))
  let errors = 0
  for (const { line, result } of outcomes) {
    const last = result.stderr.trim().split('\n').at(-1) ?? ''
    if (!last.startsWith('{"error"')) continue
    errors += 1
    assert.ok(validate(JSON.parse(last)), `${line}: ${JSON.stringify(validate.errors)}\n${last}`)
  }
  assert.ok(errors > commands.length)
})

test('R2: what help says of exit codes is the table itself', async () => {
  const { stdout } = await runDw(['help', 'exit-codes'], { env: sandbox.env })
  for (const { code, says } of Object.values(exitCodes))
    assert.ok(
      stdout.includes(`${String(code).padStart(3)}  ${says}
`),
      says,
    )
})

function specOf(line: string): CommandSpec | undefined {
  const words = line.split(' ')
  return commands
    .toSorted((a, b) => b.path.length - a.path.length)
    .find(({ path }) => path.every((word, place) => words[place] === word))
}

function isKnown(line: string): boolean {
  return specOf(line) !== undefined
}
