import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { commands } from '../src/cli/commands.ts'
import { globalOptions } from '../src/cli/global-options.ts'
import { editDistance, nearest, nearestCommand, nearestFlag } from '../src/cli/suggest.ts'
import { createBatch, uploadFile } from './kit/batch-api.ts'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import { writeChatFile } from './kit/requests.ts'
import { createSandbox, type ServerProcess, startServerProcess } from './kit/server-process.ts'

/** As typed, and the command that was meant. */
const commandTypos: Readonly<Record<string, string>> = {
  'bacthes list': 'batches list',
  'batchs list': 'batches list',
  'batch list': 'batches list',
  'batches lst': 'batches list',
  'batches ls': 'batches list',
  'batches resutls': 'batches results',
  'batches result': 'batches results',
  'batches wacth': 'batches watch',
  'batches anlytics': 'batches analytics',
  'batches cancle': 'batches cancel',
  'batches retyr': 'batches retry',
  'batches submit': 'batches run',
  'batches status': 'batches get',
  'batches-run': 'batches run',
  'run-batch': 'batches run',
  'list batches': 'batches list',
  'file upload': 'files upload',
  'fiels upload': 'files upload',
  'files uplaod': 'files upload',
  'files rm': 'files delete',
  'files valdiate': 'files validate',
  'files cost_estimate': 'files cost-estimate',
  'files estimate': 'files cost-estimate',
  'files resultsjoin': 'files results-join',
  'upload-file': 'files upload',
  'model list': 'models list',
  'upstreams add': 'upstream add',
  'upstream ad': 'upstream add',
  'key create': 'keys create',
  'keys revok': 'keys revoke',
  sevre: 'serve',
  server: 'serve',
  logn: 'login',
  'log-out': 'logout',
  'confg show': 'config show',
  completions: 'completion',
  shcema: 'schema',
  hlep: 'help',
  rnu: 'run',
  whomai: 'whoami',
  'acount list': 'account list',
  docter: 'doctor',
}

const flagTypos: Readonly<Record<string, string>> = {
  '--completion-windw': '--completion-window',
  '--wach': '--watch',
  '--modle': '--model',
  '--meta-data': '--metadata',
  '--allow-failure': '--allow-failures',
  '--skip-invaild': '--skip-invalid',
  '--jsno': '--json',
  '--sever': '--server',
  '--profil': '--profile',
  '--verbsoe': '--verbose',
}

const valueTypos: readonly { typed: string; known: readonly string[]; meant: string }[] = [
  { typed: 'inptu', known: ['input', 'completed'], meant: 'input' },
  { typed: 'complete', known: ['input', 'completed'], meant: 'completed' },
  { typed: 'tabel', known: ['table', 'json', 'plain'], meant: 'table' },
  { typed: 'JSON', known: ['table', 'json', 'plain'], meant: 'json' },
  { typed: 'gpt-4o-mni', known: ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1-mini'], meant: 'gpt-4o-mini' },
  { typed: 'sim/ecko', known: ['sim/chat', 'sim/echo', 'sim/embed'], meant: 'sim/echo' },
  { typed: 'prodction', known: ['production', 'staging'], meant: 'production' },
  { typed: 'stagign', known: ['production', 'staging'], meant: 'staging' },
]

test('R31: of more than forty typos at least nine in ten get what was meant first', () => {
  const batchesRun = commands.find(({ path }) => path.join(' ') === 'batches run')
  const found = [
    ...Object.entries(commandTypos).map(([typed, meant]) => ({
      typed,
      meant,
      got: nearestCommand(typed.split(' '), commands),
    })),
    ...Object.entries(flagTypos).map(([typed, meant]) => ({
      typed,
      meant,
      got: nearestFlag(typed, batchesRun?.options ?? []),
    })),
    ...valueTypos.map(({ typed, known, meant }) => ({ typed, meant, got: nearest(typed, known) })),
  ]
  const wrong = found.filter(({ meant, got }) => meant !== got)
  const right = 1 - wrong.length / found.length
  assert.ok(found.length >= 40)
  assert.ok(right >= 0.9, JSON.stringify(wrong, null, 1))
})

test('R31: what is near to nothing gets no suggestion', () => {
  assert.equal(nearestCommand(['xylophone'], commands), null)
  assert.equal(nearestFlag('--xylophone', globalOptions), null)
  assert.equal(nearest('production', ['dev', 'staging']), null)
})

test('the distance of two words counts letters put in, left out, replaced and swapped', () => {
  for (const [a, b, distance] of [
    ['', '', 0],
    ['abc', '', 3],
    ['run', 'run', 0],
    ['rnu', 'run', 1],
    ['wach', 'watch', 1],
    ['kitten', 'sitting', 3],
  ] as const) {
    assert.equal(editDistance(a, b), distance, `${a} ${b}`)
    assert.equal(editDistance(b, a), distance, `${b} ${a}`)
  }
})

const sandbox = createSandbox()
let server: ServerProcess
let runner: DwRunner
let ids: { batch: string; file: string }

before(async () => {
  server = await startServerProcess(sandbox, ['--sim'])
  runner = startDwRunner()
  writeChatFile(sandbox.path('batch.jsonl'), 1)
  const file = await uploadFile(server.url, sandbox.path('batch.jsonl'))
  ids = { file, batch: (await createBatch(server.url, file)).id }
})
after(async () => {
  await runner.stop()
  await server.kill('SIGKILL')
  sandbox.remove()
})

async function hintOf(words: readonly string[]): Promise<{ hint: string; exitCode: number; stdout: string }> {
  const { stdout, stderr, exitCode } = await runner.run([...words, '--json'], {
    cwd: sandbox.folder,
    env: sandbox.env,
  })
  const { error }: { error: { hint: string } } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '')
  return { hint: error.hint, exitCode, stdout }
}

test('R31: a mistyped command, flag, value, profile, model, upstream or id is told its nearest and nothing is run', async () => {
  const swapped = (id: string): string => `${id.slice(0, -2)}${id.at(-1)}${id.at(-2)}`
  const env = { cwd: sandbox.folder, env: sandbox.env }
  await runner.run(['login', server.url, '--name', 'production'], env)
  await runner.run(['upstream', 'add', server.url, '--name', 'engine-one'], env)
  const cases: [string[], string, number][] = [
    [['run-batch', 'batch.jsonl'], 'dw batches run', 2],
    [['batches', 'lst'], 'dw batches list', 2],
    [['batches', 'run', 'batch.jsonl', '--wach'], '--watch', 2],
    [['batches', 'results', ids.batch, '--order', 'inptu'], 'input', 2],
    [['models', 'list', '--output', 'jsno'], 'json', 2],
    [['completion', 'bsh'], 'bash', 2],
    [['models', 'list', '--profile', 'prodution'], 'production', 2],
    [['models', 'get', 'sim/ecko'], 'sim/echo', 5],
    [['schema', 'batchs'], 'batch', 5],
    [['help', 'exit-code'], 'exit-codes', 2],
    [['batches', 'get', swapped(ids.batch)], ids.batch, 5],
    [['files', 'get', swapped(ids.file)], ids.file, 5],
    [['upstream', 'test', 'engine-oen'], 'engine-one', 5],
  ]
  for (const [words, meant, code] of cases) {
    const { hint, exitCode, stdout } = await hintOf(words)
    assert.match(hint, /^Did you mean/, words.join(' '))
    assert.ok(hint.includes(meant), `${words.join(' ')}: ${hint}`)
    assert.equal(exitCode, code, words.join(' '))
    assert.equal(stdout, '', words.join(' '))
  }
})
