/** The local tools as a person would call them. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import {
  type CommandOptions,
  type CommandResult,
  createSandbox,
  dwPath,
  run,
  runDw,
} from '../../../test/kit/server-process.ts'

const sandbox = createSandbox()
after(() => sandbox.remove())

function dw(words: string[], options: CommandOptions = {}): Promise<CommandResult> {
  return runDw(['files', ...words], { cwd: sandbox.folder, env: sandbox.env, ...options })
}

const request = (id: string, body = '"model":"m","messages":[{"role":"user","content":"hello"}]'): string =>
  `{"custom_id":"${id}","method":"POST","url":"/v1/chat/completions","body":{${body}}}\n`
const file = (name: string, text: string): string => {
  writeFileSync(sandbox.path(name), text)
  return name
}
const read = (name: string): string => readFileSync(sandbox.path(name), 'utf8')

test('prepare changes a file in place, keeping its mode, or leaves it as it was', async () => {
  mkdirSync(sandbox.path('folder'))
  file('folder/good.jsonl', request('a'))
  file('folder/poor.jsonl', `${request('a')}{\n`)
  chmodSync(sandbox.path('folder/good.jsonl'), 0o600)
  const { exitCode, stdout, stderr } = await dw(['prepare', 'folder', '--in-place', '--model', 'n'])
  assert.equal(exitCode, 6)
  assert.match(read('folder/good.jsonl'), /"model":"n"/)
  assert.equal(statSync(sandbox.path('folder/good.jsonl')).mode & 0o777, 0o600)
  assert.equal(read('folder/poor.jsonl'), `${request('a')}{\n`)
  assert.deepEqual(readdirSync(sandbox.path('folder')), ['good.jsonl', 'poor.jsonl'])
  assert.match(stderr, /invalid_json_line: line 2/)
  const [good, poor] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([good.written, good.changed, poor.written, poor.findings_total], [true, 1, false, 1])
})

test('an input is not overwritten under any of its names', async () => {
  file('own.jsonl', request('a'))
  symlinkSync(sandbox.path('own.jsonl'), sandbox.path('link.jsonl'))
  for (const words of [
    ['prepare', 'own.jsonl', '-o', './own.jsonl'],
    ['merge', 'own.jsonl', '-o', 'link.jsonl'],
    ['sample', 'own.jsonl', '-n', '1', '-o', 'own.jsonl'],
  ]) {
    const { exitCode, stderr } = await dw(words)
    assert.equal(exitCode, 2, stderr)
    assert.match(stderr, /is an input/)
  }
  assert.equal(read('own.jsonl'), request('a'))
})

test('images come from the folder and from addresses; pages, secrets and other folders are refused', async () => {
  const png = Buffer.from('\x89PNG\r\n\x1a\nrest', 'latin1')
  writeFileSync(sandbox.path('own.png'), png)
  file('secret', 'key')
  const server = createServer((asked, response) => {
    if (asked.url === '/image') response.end(png)
    else response.writeHead(asked.url === '/page' ? 200 : 404).end('<html>')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const line = (id: number, url: string): string =>
    request(
      `${id}`,
      `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"${url}"}}]}]`,
    )
  const references = [
    'own.png',
    `${host}/image`,
    `${host}/page`,
    `${host}/none`,
    'secret',
    '/etc/hostname',
    'absent.png',
  ]
  file('images.jsonl', references.map((url, number) => line(number, url)).join(''))
  const { stdout, stderr, exitCode } = await dw(['prepare', 'images.jsonl', '--encode-images'])
  server.close()
  assert.equal(exitCode, 6)
  const data = `data:image/png;base64,${png.toString('base64')}`
  assert.equal(stdout, line(0, data) + line(1, data))
  assert.match(stderr, /image_unreadable: lines 3, 4, 5, 6, 7/)
})

test('standard input and output work with every tool that reads one file', async () => {
  const stdin = request('a') + request('b')
  assert.equal((await dw(['sample', '-', '-n', '5', '--seed', '1'], { stdin })).stdout, stdin)
  assert.equal((await dw(['prepare', '-'], { stdin })).stdout, stdin)
  assert.equal((await dw(['merge', '-'], { stdin })).stdout, stdin)
  assert.equal(JSON.parse((await dw(['stats', '-'], { stdin })).stdout).requests, 2)
  const made = await dw(['make', '-', '--from', 'txt', '--prompt', '{{text}}', '--model', 'm'], {
    stdin: 'hello',
  })
  assert.equal(made.stdout, request('row-1'))
})

test('nothing temporary is left behind, not even when the reader of the pipe goes away', async () => {
  mkdirSync(sandbox.path('tmp'))
  file('many.jsonl', Array.from({ length: 20_000 }, (_, number) => request(`${number}`)).join(''))
  const env = { ...sandbox.env, TMPDIR: sandbox.path('tmp') }
  const command = `"${process.execPath}" "${dwPath}" files prepare many.jsonl | head -n 1`
  const { stdout } = await run('sh', ['-c', command], { cwd: sandbox.folder, env })
  assert.equal(stdout, request('0'))
  await dw(['diff', 'many.jsonl', '-'], { env, stdin: request('0') })
  assert.deepEqual(readdirSync(sandbox.path('tmp')), [])
})

test('split refuses to replace parts, and its parts are the lines of the file', async () => {
  const lines = ['a', 'b', 'c', 'd', 'e'].map((id) => request(id))
  file('whole.jsonl', lines.join(''))
  const words = ['split', 'whole.jsonl', '--chunk-size', '2', '-o', 'parts']
  assert.equal((await dw(words)).exitCode, 0)
  assert.deepEqual(readdirSync(sandbox.path('parts')), [
    'whole-001.jsonl',
    'whole-002.jsonl',
    'whole-003.jsonl',
  ])
  assert.equal([1, 2, 3].map((number) => read(`parts/whole-00${number}.jsonl`)).join(''), lines.join(''))
  const again = await dw(words)
  assert.equal(again.exitCode, 2)
  assert.match(again.stderr, /part_exists/)
  const tight = await dw(['split', 'whole.jsonl', '--bytes', '20B', '-o', 'none'])
  assert.equal(tight.exitCode, 6)
  assert.match(tight.stderr, /line_over_limit: lines 1, 2, 3, 4, 5/)
  assert.deepEqual(readdirSync(sandbox.path('none')), [])
})

test('exit codes say whether files differ, ids meet, and results are missing', async () => {
  file('a.jsonl', request('a') + request('b'))
  file('b.jsonl', request('a') + request('c'))
  assert.equal((await dw(['diff', 'a.jsonl', 'a.jsonl'])).exitCode, 0)
  assert.equal((await dw(['diff', 'a.jsonl', 'b.jsonl'])).exitCode, 3)
  const met = await dw(['merge', 'a.jsonl', 'b.jsonl', '-o', 'm.jsonl'])
  assert.equal(met.exitCode, 6)
  assert.match(met.stderr, /The custom_id 'a' is the one of line 1 of a.jsonl/)
  assert.ok(!readdirSync(sandbox.folder).some((name) => name.startsWith('m.jsonl')))
  const answer = '"response":{"status_code":200,"body":{}},"error":null'
  file('r.jsonl', `{"custom_id":"b",${answer}}\n`)
  const joined = await dw(['results-join', 'a.jsonl', 'r.jsonl', '-o', 'j.jsonl'])
  assert.equal(joined.exitCode, 3)
  assert.match(joined.stderr, /missing: a/)
  assert.equal(JSON.parse(joined.stdout).succeeded, 1)
})

test('a large file passes through in little memory', async () => {
  const line = request('{id}', `"model":"m","messages":[{"role":"user","content":"${'word '.repeat(60)}"}]`)
  const count = 60_000
  file(
    'large.jsonl',
    Array.from({ length: count }, (_, number) => line.replace('{id}', `r${number}`)).join(''),
  )
  const hook = `import { writeSync } from 'node:fs'; process.on('exit', () => writeSync(2, 'peak ' + process.resourceUsage().maxRSS))`
  const env = { ...sandbox.env, NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(hook)}"` }
  for (const words of [
    ['prepare', 'large.jsonl', '--set', 'body.top_p=0.5', '-o', 'large-2.jsonl'],
    ['diff', 'large.jsonl', 'large-2.jsonl'],
  ]) {
    const { stderr, exitCode } = await dw(words, { env })
    assert.ok(exitCode === 0 || exitCode === 3, stderr)
    const megabytes = Number(/peak (\d+)/.exec(stderr)?.[1]) / 1024
    assert.ok(megabytes < 250, `${words[0]}: ${megabytes} MB`)
  }
})
