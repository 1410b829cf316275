/** The batch commands as processes against a real server, with an engine whose answers the tests script. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { spawn as spawnOnTerminal } from '@lydell/node-pty'
import { chatLine, countIds, jsonl, parseLines } from '../../../test/kit/requests.ts'
import {
  createGate,
  errorReply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../../../test/kit/scripted-upstream.ts'
import {
  type CommandResult,
  createSandbox,
  dwPath,
  runDw,
  runOnTerminal,
  type ServerProcess,
  startServerProcess,
} from '../../../test/kit/server-process.ts'
import type { WireBatch } from '../../contract/wire.ts'

const sandbox = createSandbox()
let upstream: ScriptedUpstream
let server: ServerProcess
let gate = createGate()

before(async () => {
  upstream = await startScriptedUpstream({
    models: ['m', 'other/model'],
    script: (call) => {
      const body = call.body.toString('utf8')
      if (body.includes('please fail'))
        return errorReply(400, { code: 'content_filter', message: `Request ${call.number} was refused.` })
      return body.includes('please wait') ? { gate: gate.opened } : null
    },
  })
  server = await startServerProcess(sandbox, ['--no-sim'])
  const added = await dw('upstream', 'add', upstream.url, '--concurrency', '16')
  assert.equal(added.exitCode, 0, added.stderr)
})
after(async () => {
  gate.open()
  await server?.kill('SIGKILL')
  await upstream?.stop()
  sandbox.remove()
})

function dw(...words: string[]): Promise<CommandResult> {
  return runDw(words, { cwd: sandbox.folder, env: sandbox.env })
}

function write(name: string, contents: readonly string[]): string {
  const path = sandbox.path(name)
  mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true })
  writeFileSync(path, jsonl(contents.map((content, number) => chatLine(number, { model: 'm', content }))))
  return name
}

function batches({ stdout }: CommandResult): WireBatch[] {
  return parseLines<WireBatch>(stdout)
}

async function idOfNew(name: string, contents: readonly string[], watch = true): Promise<string> {
  const ran = await dw('batches', 'run', write(name, contents), ...(watch ? ['--watch'] : []))
  const id = batches(ran)[0]?.id
  assert.ok(id !== undefined, ran.stderr)
  return id
}

const some = ['good 1', 'please fail', 'good 2', 'please fail too', 'good 3']

test('a folder runs every request file of it, prints each batch once, and ends with what failed', async () => {
  write('in/b.jsonl', ['good'])
  write('in/a.jsonl', some)
  writeFileSync(
    sandbox.path('in/a.results.jsonl'),
    '{"id":"batch_req_1","custom_id":"x","response":{},"error":null}\n',
  )
  writeFileSync(sandbox.path('ids.txt'), 'of an earlier run\n')
  const ran = await dw('batches', 'run', 'in', '--watch', '--output-id', 'ids.txt', '--metadata', 'a=b=c')
  assert.equal(ran.exitCode, 3, ran.stderr)
  const made = batches(ran)
  assert.deepEqual(
    made.map(({ status, request_counts: { total, completed, failed }, metadata }) => [
      status,
      total,
      completed,
      failed,
      metadata,
    ]),
    [
      ['completed', 5, 3, 2, { a: 'b=c' }],
      ['completed', 1, 1, 0, { a: 'b=c' }],
    ],
  )
  assert.equal(readFileSync(sandbox.path('ids.txt'), 'utf8'), made.map(({ id }) => `${id}\n`).join(''))
  for (const { id } of made) assert.ok(ran.stderr.includes(`${id}  in/`), ran.stderr)
  assert.match(ran.stderr, /in\/a\.results\.jsonl: left out/)
  assert.match(ran.stderr, /completed, 2 failed\n {2}3 succeeded, 2 failed, 0 missing of 5 requests/)
  assert.match(ran.stderr, /2 × 400 content_filter: Request \d+ was refused\./)
  assert.match(ran.stderr, /dw batches retry batch_\w+\n/)
})

test('one bad file means that nothing is submitted, unless it may be left out', async () => {
  write('mixed/good.jsonl', ['good'])
  writeFileSync(
    sandbox.path('mixed/bad.jsonl'),
    `${jsonl([chatLine(1, { model: 'm' }), chatLine(1, { model: 'm' })])}not json\n`,
  )
  const before = batches(await dw('batches', 'list')).length
  const refused = await dw('batches', 'run', 'mixed', '--output-id', 'none.txt')
  assert.equal(refused.exitCode, 6)
  assert.equal(refused.stdout, '')
  assert.match(refused.stderr, /mixed\/bad\.jsonl: 2 findings/)
  assert.match(refused.stderr, /duplicate_custom_id: line 2: /)
  assert.match(refused.stderr, /invalid_json_line: line 3: /)
  assert.equal(batches(await dw('batches', 'list')).length, before)
  assert.ok(!existsSync(sandbox.path('none.txt')))
  const skipped = await dw('batches', 'run', 'mixed', '--skip-invalid', '--watch')
  assert.equal(skipped.exitCode, 0, skipped.stderr)
  assert.equal(batches(skipped).length, 1)
})

test('--model replaces the model of each request and nothing else', async () => {
  const [first] = [chatLine(1, { model: 'nobody has this', content: 'ünïcode' })]
  const { model: _, ...bare } = chatLine(2, { content: 'no model of its own' }).body
  writeFileSync(sandbox.path('models.jsonl'), jsonl([first, { ...chatLine(2), body: bare }]))
  const from = upstream.calls.length
  const ran = await dw('batches', 'run', 'models.jsonl', '-m', 'other/model', '--watch')
  assert.equal(ran.exitCode, 0, ran.stderr)
  const sent = upstream.calls.slice(from).map((call) => JSON.parse(call.body.toString('utf8')))
  assert.deepEqual(
    sent.toSorted((a, b) => Object.keys(b).length - Object.keys(a).length),
    [
      { ...first?.body, model: 'other/model' },
      { ...bare, model: 'other/model' },
    ],
  )
})

test('create looks the file up, takes the endpoint from its lines, and refuses metadata without a value', async () => {
  const line = { custom_id: 'e', method: 'POST', url: '/v1/embeddings', body: { model: 'm', input: 'x' } }
  writeFileSync(sandbox.path('embed.jsonl'), `\n${jsonl([line])}`)
  const uploaded = await dw('files', 'upload', 'embed.jsonl')
  const { id } = JSON.parse(uploaded.stdout)
  const created = await dw(
    'batches',
    'create',
    '--file',
    id,
    '-w',
    '1h',
    '--metadata',
    'project=evals',
    '--metadata',
    'run=1',
  )
  assert.equal(created.exitCode, 0, created.stderr)
  const [batch] = batches(created)
  assert.equal(batch?.endpoint, '/v1/embeddings')
  assert.equal(batch?.completion_window, '1h')
  assert.deepEqual(batch?.metadata, { project: 'evals', run: '1' })
  const others = await Promise.all([
    dw('batches', 'create', '--file', id, '--metadata', 'project'),
    dw('batches', 'create', '--file', id, '-w', 'soon'),
    dw('batches', 'create', '--file', 'file-unknown'),
    dw('batches', 'create'),
    dw('batches', 'watch', batch?.id ?? ''),
  ])
  assert.deepEqual(
    others.map(({ exitCode }) => exitCode),
    [2, 2, 5, 2, 0],
  )
})

test('results go to a file and its sibling, in input order, and are counted as they were read', async () => {
  const [id, second] = await Promise.all([idOfNew('one.jsonl', some), idOfNew('two.jsonl', ['good'])])
  const written = await dw('batches', 'results', id, '-o', 'out/answers.jsonl')
  assert.equal(written.exitCode, 3)
  assert.equal(written.stdout, '')
  const ids = (name: string): string[] =>
    parseLines(readFileSync(sandbox.path(name), 'utf8')).map((line) => line.custom_id)
  assert.deepEqual(ids('out/answers.jsonl'), ['request-0', 'request-2', 'request-4'])
  assert.deepEqual(ids('out/answers.errors.jsonl'), ['request-1', 'request-3'])
  assert.match(written.stderr, /3 succeeded, 2 failed, 0 missing of 5 requests/)

  const clean = await dw('batches', 'results', second, '-o', 'out/answers.jsonl')
  assert.equal(clean.exitCode, 0)
  assert.ok(
    !existsSync(sandbox.path('out/answers.errors.jsonl')),
    'errors of other results do not stay beside',
  )

  writeFileSync(sandbox.path('more.txt'), `\n${second}\n`)
  const [both, toStdout, allowed, unknown] = await Promise.all([
    dw('batches', 'results', id, '--from-file', 'more.txt', '--include-errors'),
    dw('batches', 'results', id),
    dw('batches', 'results', id, '--allow-failures', '2'),
    dw('batches', 'results', id, 'batch_unknown', '-o', 'never.jsonl'),
  ])
  assert.equal(both.exitCode, 3)
  assert.equal(countIds(parseLines(both.stdout)).get('request-0'), 2, 'different batches stay apart')
  assert.equal(parseLines(both.stdout).length, 6)

  assert.equal(parseLines(toStdout.stdout).length, 3)
  const command = /why they failed: dw (.*)\n/.exec(toStdout.stderr)?.[1]?.split(' ') ?? []
  const [group] = parseLines<{ count: number; code: string }>((await dw(...command)).stdout)
  assert.deepEqual([group?.count, group?.code], [2, 'content_filter'])

  assert.equal(allowed.exitCode, 0)
  assert.equal(unknown.exitCode, 5)
  assert.ok(!existsSync(sandbox.path('never.jsonl')))
})

test('a running batch gives what there is, labelled partial', async () => {
  gate = createGate()
  const id = await idOfNew('waiting.jsonl', ['good', 'please wait'], false)
  await upstreamAnswered(id)
  const partial = await dw('batches', 'results', id, '-o', 'partial.jsonl')
  assert.equal(partial.exitCode, 8, partial.stderr)
  assert.match(partial.stderr, /PARTIAL/)
  assert.equal(parseLines(readFileSync(sandbox.path('partial.jsonl'), 'utf8')).length, 1)
  const analytics = await dw('batches', 'analytics', id)
  assert.equal(analytics.exitCode, 0)
  assert.equal(JSON.parse(analytics.stdout).requests.completed, 1)
  const retried = await dw('batches', 'retry', id)
  assert.equal(retried.exitCode, 8)
  assert.match(retried.stderr, /still runs/)

  const asked = await dw('batches', 'cancel', id)
  assert.equal(asked.exitCode, 2)
  assert.match(asked.stderr, new RegExp(`dw batches cancel ${id} --yes`))
  assert.equal(batches(await dw('batches', 'get', id))[0]?.status, 'in_progress')
  const cancelled = await dw('batches', 'cancel', id, '--yes')
  assert.equal(cancelled.exitCode, 0)
  assert.match(batches(cancelled)[0]?.status ?? '', /^cancel/)
  gate.open()
})

/** Until the batch has its first answer, so that its output file has an id. */
async function upstreamAnswered(id: string): Promise<void> {
  for (;;) {
    const [batch] = batches(await dw('batches', 'get', id))
    if ((batch?.output_file_id ?? null) !== null) return
  }
}

test('a retry runs only what failed, as a new batch', async () => {
  const [id, clean] = await Promise.all([idOfNew('again.jsonl', some), idOfNew('clean.jsonl', ['good'])])
  const [retried, nothing] = await Promise.all([dw('batches', 'retry', id), dw('batches', 'retry', clean)])
  assert.equal(retried.exitCode, 0, retried.stderr)
  const [child] = batches(retried)
  assert.ok(child !== undefined && child.id !== id)
  assert.match(retried.stderr, /2 failed, 0 expired, 0 cancelled\n.* runs 2 requests of it again/)
  const watched = await dw('batches', 'watch', child.id, id)
  assert.equal(watched.exitCode, 3)
  assert.deepEqual(
    batches(watched).map(({ request_counts }) => request_counts.total),
    [2, 5],
  )
  assert.equal(nothing.exitCode, 1)
  assert.equal(nothing.stdout, '')
})

test('lists tell failures in tables, keep the wire word in JSON, and name the next page', async () => {
  const page = await dw('batches', 'list', '-n', '2')
  assert.equal(batches(page).length, 2)
  const next = /dw (batches list .*)\n/.exec(page.stderr)?.[1]?.split(' ') ?? []
  const [third] = batches(await dw(...next))
  const all = batches(await dw('batches', 'list', '--all'))
  assert.equal(all[2]?.id, third?.id)
  assert.ok(all.every(({ status }) => !status.includes(',')))
  const table = await dw('batches', 'list', '--all', '--output', 'table')
  assert.match(table.stdout, /completed, 2 failed/)
  assert.equal((await dw('batches', 'list', '--limit', '0')).exitCode, 2)
})

test('on a terminal bars are drawn, and the first Ctrl-C detaches', async () => {
  const ended = await runOnTerminal(
    process.execPath,
    [dwPath, 'batches', 'run', write('bars.jsonl', some), '--watch'],
    {
      cwd: sandbox.folder,
      env: sandbox.env,
    },
  )
  assert.equal(ended.exitCode, 3)
  assert.match(ended.output, /██████████/)
  assert.match(ended.output, /2 failed/)

  gate = createGate()
  const id = await idOfNew('detach.jsonl', ['please wait'], false)
  const { exitCode, output } = await interrupted(['batches', 'watch', id])
  assert.equal(exitCode, 130)
  assert.match(output, new RegExp(`come back: dw batches watch ${id}`))
  assert.match(output, new RegExp(`cancel: +dw batches cancel ${id}`))
  assert.equal(batches(await dw('batches', 'get', id))[0]?.status, 'in_progress')
  gate.open()
})

/** Runs a command on a terminal and presses Ctrl-C once its bar stands there. */
function interrupted(words: readonly string[]): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve) => {
    const terminal = spawnOnTerminal(process.execPath, [dwPath, ...words], {
      cols: 120,
      rows: 40,
      cwd: sandbox.folder,
      env: { ...sandbox.env, TERM: 'xterm-256color' },
    })
    let output = ''
    let isPressed = false
    terminal.onData((data) => {
      output += data
      if (isPressed || !output.includes('0/1')) return
      isPressed = true
      terminal.write('\u0003')
    })
    terminal.onExit(({ exitCode }) => resolve({ exitCode, output }))
  })
}
