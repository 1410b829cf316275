/** What commands print, and how it is cut, filtered and shown: over real processes, in pipes and on a terminal. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { commands } from '../src/cli/commands.ts'
import { flagsOf, globalOptions } from '../src/cli/global-options.ts'
import { speechOf } from '../src/cli/speech.ts'
import { drawTable } from '../src/cli/table.ts'
import { startDwRunner } from './kit/dw-runner.ts'
import { createSandbox, dwPath, run, runDw, runOnTerminal } from './kit/server-process.ts'

const BIG = '12345678901234567890'
const sandbox = createSandbox()
const runner = startDwRunner()

const batch = (number: number) => ({
  id: `batch_${String(number).padStart(26, '0')}`,
  object: 'batch',
  endpoint: '/v1/chat/completions',
  status: 'completed',
  input_file_id: 'file-a',
  completion_window: '24h',
  created_at: 1,
  expires_at: 2,
  request_counts: { total: 3, completed: 2, failed: 1 },
  metadata: { note: 'a\nb' },
})
const LIST_ROWS = 60
const list = Array.from({ length: LIST_ROWS }, (_, number) => batch(number))
const answerLine = `{"custom_id":"a","response":{"body":{"seed":${BIG},"text":"one\\ntwo"}}}\n`

/** Answers as a service with OpenAI's routes does; its file never ends. */
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  const send = (status: number, body: unknown): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  const wanted = list.find(({ id }) => pathname === `/v1/batches/${id}`)
  if (pathname === '/v1/batches') send(200, { object: 'list', data: list, has_more: true })
  else if (wanted !== undefined) send(200, wanted)
  else if (pathname === '/v1/files/file-endless/content') {
    const more = (): void => {
      while (!response.destroyed && response.write(answerLine.repeat(1_000)));
    }
    response.on('drain', more)
    more()
  } else if (pathname === '/v1/files/file-a/content') response.end(answerLine.repeat(1_000))
  else send(404, { error: { message: 'no', code: null } })
})
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const env = { ...sandbox.env, DW_SERVER: address }
after(async () => {
  server.closeAllConnections()
  server.close()
  await runner.stop()
  sandbox.remove()
})

const dw = (words: readonly string[]) => runner.run(words, { cwd: sandbox.folder, env })
const onTerminal = (words: readonly string[], more: NodeJS.ProcessEnv = {}) =>
  runOnTerminal(process.execPath, [dwPath, ...words], { env: { ...env, ...more } })

test('R35: --quiet prints the ids of a list alone, one a line, and another command takes them', async () => {
  const { stdout, stderr } = await dw(['batches', 'list', '-q'])
  assert.equal(stdout, list.map(({ id }) => `${id}\n`).join(''))
  assert.equal(stderr, '')
  const ids = stdout.split('\n').slice(0, 3)
  const each = await dw(['batches', 'watch', ...ids, '--quiet'])
  assert.equal(each.stdout, ids.map((id) => `${id}\n`).join(''))
  // A format that is asked for says more than the ids.
  assert.equal(JSON.parse((await dw(['batches', 'get', ids[0] ?? '', '-q', '--json'])).stdout).id, ids[0])
})

test('R35: ids of a quiet list go through xargs into another command', async () => {
  const command = `"${process.execPath}" "${dwPath}"`
  const script = `${command} batches list -q | xargs ${command} batches get --jq .id`
  const { exitCode, stdout, stderr } = await run('sh', ['-c', script], { env })
  assert.equal(exitCode, 0, stderr)
  assert.equal(stdout, list.map(({ id }) => `${id}\n`).join(''))
  const some = await dw(['batches', 'get', list[0]?.id ?? '', 'batch_none', 'batch_nothing', '-q'])
  assert.equal(some.stdout, `${list[0]?.id}\n`)
  assert.equal(some.exitCode, 5)
  assert.equal(some.stderr, 'batch_none and 1 other: error[http_404]: no\n')
})

test('R35: --jq puts every object through an expression, prints strings as they are and keeps large numbers', async () => {
  const listed = await dw(['batches', 'list', '--jq', 'select(.id | endswith("7")) | .id, .request_counts'])
  const [id, counts] = listed.stdout.split('\n')
  assert.equal(id, list[7]?.id)
  assert.equal(counts, '{"total":3,"completed":2,"failed":1}')
  assert.equal(listed.stdout.trimEnd().split('\n').length, 12)
  const lines = await dw(['files', 'content', 'file-a', '--jq', '.response.body.seed'])
  assert.equal(lines.stdout, `${BIG}\n`.repeat(1_000))
})

test('R35: an expression that cannot be read ends with 2 before anything is asked; one that does not fit tells what jq says', async () => {
  const unread = await runner.run(['batches', 'list', '--jq', '.a | foo'], {
    cwd: sandbox.folder,
    env: { ...sandbox.env, DW_SERVER: 'http://127.0.0.1:9' },
  })
  assert.equal(unread.exitCode, 2)
  assert.equal(JSON.parse(unread.stderr).error.code, 'bad_jq')
  assert.match(JSON.parse(unread.stderr).error.message, /foo\/0 is not defined/)
  const unfit = await dw(['batches', 'list', '--jq', '.id.name'])
  assert.equal(unfit.exitCode, 2)
  const [error = ''] = unfit.stderr.split('\n').filter((line) => line.startsWith('{'))
  assert.match(JSON.parse(error).error.message, /Cannot index string with string "name" \(and for 59 more\)/)
})

test('--fields picks fields for every form of rows, and names those there are', async () => {
  const words = ['batches', 'list', '--fields', 'id,request_counts.failed,metadata']
  const json = await dw(words)
  assert.deepEqual(JSON.parse(json.stdout.split('\n')[0] ?? ''), {
    id: list[0]?.id,
    'request_counts.failed': 1,
    metadata: { note: 'a\nb' },
  })
  const plain = await dw([...words, '--output', 'plain'])
  assert.equal(plain.stdout.split('\n')[0], `${list[0]?.id}\t1\t{"note":"a\\nb"}`)
  const table = await dw([...words, '--output', 'table'])
  assert.match(table.stdout, /│ id +│ request_counts\.failed │ metadata +│/)
  const wrong = await dw(['batches', 'list', '--fields', 'id,statu'])
  assert.equal(wrong.exitCode, 2)
  assert.match(wrong.stderr, /no field 'statu'.*id, object, endpoint/)
  assert.match(wrong.stderr, /did you mean: status/)
  const lines = await dw(['files', 'content', 'file-a', '--fields', 'custom_id,response.body.seed'])
  assert.equal(lines.stdout.split('\n')[0], `{"custom_id":"a","response.body.seed":${BIG}}`)
})

for (const words of [
  ['files', 'content', 'file-endless'],
  ['files', 'content', 'file-endless', '--jq', '.custom_id'],
  ['batches', 'list', '--all'],
]) {
  test(`R35: a reader that stops ends dw ${words.join(' ')} quietly`, async () => {
    const child = spawn(process.execPath, [dwPath, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const ended = once(child, 'close')
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [code] = await ended
    assert.equal(code, 0)
    assert.equal(stderr, '')
  })
}

test('a table fits its terminal: the widest cells are cut, ids never, and a hint says how to see all', () => {
  const columns = [{ title: 'ID', isId: true }, { title: 'Name' }, { title: 'State' }]
  const row = ['x'.repeat(40), 'y'.repeat(60), 'fine']
  const cut = drawTable(columns, [row], 80)
  assert.ok(cut.isCut)
  for (const line of cut.text.split('\n')) assert.ok(line.length <= 80, line)
  assert.ok(cut.text.includes('x'.repeat(40)))
  assert.match(cut.text, /yyy…/)
  const whole = drawTable(columns, [row], Number.POSITIVE_INFINITY)
  assert.ok(!whole.isCut && whole.text.includes('y'.repeat(60)))
})

test('a narrow list on a terminal hints at --no-truncate, which shows all of it', async () => {
  const narrow = await onTerminal(['batches', 'list', '--no-pager'])
  assert.ok(narrow.output.includes(list[0]?.id ?? ''))
  assert.match(narrow.output, /--no-truncate/)
  const whole = await onTerminal(['batches', 'list', '--no-pager', '--no-truncate'])
  assert.match(whole.output, /chat\/completions/)
  assert.doesNotMatch(whole.output, /--no-truncate/)
})

test('a list that is longer than the terminal goes to the pager, whole and before the words behind it', async () => {
  const pager = sandbox.path('pager.sh')
  writeFileSync(pager, 'echo PAGED\ngrep -c batch_\n')
  const paged = await onTerminal(['batches', 'list'], { PAGER: `sh ${pager}` })
  assert.equal(paged.exitCode, 0)
  assert.match(paged.output, new RegExp(`PAGED\\s+${LIST_ROWS}\\s[^]*There are more`))
  assert.doesNotMatch(paged.output, /batch_0{26}/)
  for (const [words, more] of [
    [['batches', 'list', '--no-pager'], {}],
    [['batches', 'get', list[0]?.id ?? ''], {}],
    [['batches', 'list', '--output', 'table'], { AI_AGENT: 'x' }],
  ] as const)
    assert.doesNotMatch((await onTerminal(words, { PAGER: `sh ${pager}`, ...more })).output, /PAGED/)
  const piped = await runDw(['batches', 'list', '--output', 'table'], {
    env: { ...env, PAGER: `sh ${pager}` },
  })
  assert.doesNotMatch(piped.stdout, /PAGED/)
})

test('colour is decided by NO_COLOR, CLICOLOR_FORCE, TERM and --no-color; FORCE_COLOR is not asked', () => {
  const isColoured = (env: NodeJS.ProcessEnv, options = {}, isScreen = true): boolean => {
    const tty = { stdin: isScreen, stdout: isScreen, stderr: isScreen }
    return speechOf({ options, env: { TERM: 'xterm', ...env }, tty }).isColoured
  }
  assert.ok(isColoured({}))
  assert.ok(!isColoured({}, {}, false))
  assert.ok(!isColoured({ NO_COLOR: '1' }))
  assert.ok(!isColoured({ NO_COLOR: '1', FORCE_COLOR: '1', CLICOLOR_FORCE: '1' }))
  assert.ok(isColoured({ NO_COLOR: '' }))
  assert.ok(!isColoured({ TERM: 'dumb', CLICOLOR_FORCE: '1' }))
  assert.ok(!isColoured({}, { color: false }))
  assert.ok(isColoured({ CLICOLOR_FORCE: '1' }, {}, false))
  assert.ok(!isColoured({ CLICOLOR_FORCE: '0' }, {}, false))
  assert.ok(!isColoured({ FORCE_COLOR: '1' }, {}, false))
  assert.ok(!isColoured({ AI_AGENT: 'x', CLICOLOR_FORCE: '1' }))
})

test('a terminal is painted, and with NO_COLOR not, whatever FORCE_COLOR says', async () => {
  const words = ['batches', 'watch', list[0]?.id ?? '']
  const isPainted = async (more: NodeJS.ProcessEnv): Promise<boolean> =>
    (await onTerminal(words, more)).output.includes('\u001b[1m')
  assert.ok(await isPainted({}))
  assert.ok(!(await isPainted({ NO_COLOR: '1', FORCE_COLOR: '3' })))
})

test('no option of a command has the name of one that every command takes', () => {
  const taken = new Set(globalOptions.flatMap(flagsOf))
  for (const spec of commands)
    for (const option of spec.options)
      for (const flag of flagsOf(option)) assert.ok(!taken.has(flag), `dw ${spec.path.join(' ')} ${flag}`)
})
