/** Keys are where they must be and nowhere else; what a server keeps is for its owner alone; what it rests on is pinned. */
import assert from 'node:assert/strict'
import { globSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { keyHash } from '../src/domain/ids.ts'
import { inspectAnswer } from '../src/engine/answer.ts'
import type { WireBatch } from './kit/batch-api.ts'
import { chatLine, jsonl } from './kit/requests.ts'
import { formOf, formType } from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'
import {
  createSandbox,
  projectFolder,
  runDw,
  type ServerProcess,
  startServerProcess,
} from './kit/server-process.ts'

const UPSTREAM_KEY = 'sk-upstream-Zx81QqSecret7c4'
const sandbox = createSandbox()
/** An engine that repeats its key wherever it can. */
const upstream = await startScriptedUpstream({
  models: ['m'],
  script: ({ authorization, body }) => {
    const message = `Incorrect key provided: ${authorization} (${authorization})`
    const headers = { 'x-request-id': UPSTREAM_KEY }
    if (body.includes('refuse me')) return { status: 400, headers, body: { error: { message, code: 'bad' } } }
    if (body.includes('as text')) return { status: 400, headers, body: `<html>${message}</html>` }
    return body.includes('be unauthorised') ? { status: 401, headers, body: { error: { message } } } : null
  },
})
after(async () => {
  await upstream.stop()
  sandbox.remove()
})

/** With the rights of files wide open, as a careless service manager would start it. */
function startCareless(flags: readonly string[]): Promise<ServerProcess> {
  const before = process.umask(0)
  // The process is made before this returns, and keeps what it was made with.
  const starting = startServerProcess(sandbox, flags)
  process.umask(before)
  return starting
}

const below = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))

/** Files that hold the text. */
const holding = (folder: string, text: string): string[] =>
  below(folder)
    .filter((path) => statSync(path).isFile() && readFileSync(path).includes(text))
    .map((path) => relative(folder, path))

const isUp = (url: string): Promise<boolean> =>
  fetch(`${url}/health`).then(
    () => true,
    () => false,
  )

const seen: string[] = []
async function send(url: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const reply = await fetch(url, init)
  const text = await reply.text()
  seen.push(JSON.stringify([...reply.headers]), text)
  return { status: reply.status, text }
}

test('keys and tokens are found in no log, error, address, command line or file, but in their own', async () => {
  const config = sandbox.path('dw.toml')
  writeFileSync(config, 'log_level = "debug"\nsimulated = "off"\n')
  const server = await startCareless(['--config', config])
  const { url } = server
  const token = readFileSync(join(sandbox.dataDir, 'owner-token'), 'utf8').trim()
  const owner = { authorization: `Bearer ${token}` }
  const admin = (path: string, body: unknown): ReturnType<typeof send> =>
    send(`${url}/admin/v1/${path}`, { method: 'POST', headers: owner, body: JSON.stringify(body) })
  assert.equal((await admin('upstreams', { url: upstream.url, name: 'echo', key: UPSTREAM_KEY })).status, 200)
  const made = await fetch(`${url}/admin/v1/keys`, { method: 'POST', headers: owner, body: '{"name":"t"}' })
  const { key } = (await made.json()) as { key: string }
  const tenant = { authorization: `Bearer ${key}` }

  // Whatever goes wrong, with keys in every place where people have put them.
  for (const given of [`${key}x`, key.slice(0, -1), token.slice(0, -1), `Bearer ${key}`])
    assert.equal(
      (await send(`${url}/v1/files`, { headers: { authorization: `Bearer ${given}` } })).status,
      401,
    )
  await send(`${url}/v1/nothing?api_key=${key}`, { headers: tenant })
  await send(`${url}/v1/files?limit=${key}`, { headers: tenant })
  await send(`${url}/v1/batches`, { method: 'POST', headers: tenant, body: '{"input_file_id"' })
  await admin('upstreams', { url: 'ftp://nowhere', key: UPSTREAM_KEY })
  await admin('upstreams', { url: upstream.url, name: 'echo', key: UPSTREAM_KEY })
  await send(`${url}/v1/files`, { method: 'POST', headers: { ...tenant, ...formType }, body: '--broken' })
  const run = async (contents: readonly string[]): Promise<{ id: string }> => {
    const lines = jsonl(contents.map((content, number) => chatLine(number, { model: 'm', content })))
    const form = formOf([
      { name: 'purpose', value: 'batch' },
      { name: 'file', value: lines, filename: 'a.jsonl' },
    ])
    const headers = { ...tenant, ...formType }
    const file = await send(`${url}/v1/files`, { method: 'POST', headers, body: new Uint8Array(form) })
    const body = {
      input_file_id: JSON.parse(file.text).id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    }
    const batch = await send(`${url}/v1/batches`, {
      method: 'POST',
      headers: tenant,
      body: JSON.stringify(body),
    })
    return JSON.parse(batch.text)
  }
  const until = async (
    id: string,
    isWanted: (batch: WireBatch, text: string) => boolean,
  ): Promise<WireBatch> => {
    const { text } = await send(`${url}/v1/batches/${id}`, { headers: tenant })
    const batch = JSON.parse(text) as WireBatch
    return isWanted(batch, text) ? batch : until(id, isWanted)
  }
  const ended = await until(
    (await run(['refuse me', 'as text', 'fine'])).id,
    ({ status }) => status === 'completed',
  )
  const errors = await send(`${url}/v1/files/${ended.error_file_id}/content`, { headers: tenant })
  assert.match(errors.text, /Incorrect key provided: Bearer \*\*\*\* \(Bearer \*\*\*\*\)/)
  await until((await run(['be unauthorised'])).id, (_batch, text) => text.includes('waiting: 401 from'))
  await send(`${url}/admin/v1/upstreams`, { headers: owner })
  await send(`${url}/metrics`)
  for (const name of ['cmdline', 'comm']) seen.push(readFileSync(`/proc/${server.pid}/${name}`, 'utf8'))

  // A crash says what it has to say, and no more: the log's folder is gone when the server wants to write to it.
  rmSync(join(sandbox.dataDir, 'results', 'log'), { recursive: true })
  const last = { method: 'DELETE', headers: tenant }
  await send(`${url}/v1/files/${ended.error_file_id}`, last).catch(() => null)
  while (await isUp(url));
  const exit = await server.stop()
  assert.equal(exit, 1)
  seen.push(...server.log)
  assert.ok(
    server.log.some((line) => line.includes('its storage failed')),
    server.log.join('\n'),
  )
  assert.ok(server.log.filter((line) => line.includes('"request"')).length > 10, 'requests are logged')

  const everything = seen.join('\n')
  for (const secret of [UPSTREAM_KEY, key, token])
    assert.ok(!everything.includes(secret), `${secret} was told`)
  assert.deepEqual(holding(sandbox.folder, key), [])
  assert.ok(holding(sandbox.folder, keyHash(key)).some((path) => path.startsWith('data/dw.sqlite')))
  assert.deepEqual(holding(sandbox.folder, UPSTREAM_KEY), ['data/upstream-keys/echo'])
  assert.deepEqual(holding(sandbox.folder, token), ['data/owner-token'])
  const jsonLines = server.log.filter((line) => line.startsWith('{'))
  for (const line of jsonLines)
    assert.equal(typeof JSON.parse(line).msg, 'string', 'a line of the log is one object')
})

test('all that a server and a command keep is for their owner alone, also with an umask of 000', async () => {
  rmSync(sandbox.dataDir, { recursive: true, force: true })
  const server = await startCareless(['--sim'])
  const path = sandbox.path('requests.jsonl')
  writeFileSync(path, jsonl([chatLine(1), chatLine(2, { model: 'sim/chat' })]))
  const before = process.umask(0)
  const env = { ...sandbox.env, DW_SERVER: server.url }
  try {
    const run = await runDw(['batches', 'run', path, '--watch'], { env })
    assert.equal(run.exitCode, 0, run.stderr)
    const login = await runDw(['login', server.url, '--key-stdin'], { env, stdin: 'sk-something\n' })
    assert.equal(login.exitCode, 0, login.stderr)
  } finally {
    process.umask(before)
  }
  const folders = ['data', 'dw-state', 'config'].map((name) => sandbox.path(name))
  const wrong = folders.flatMap((folder) =>
    below(folder).filter((name) => {
      const stats = statSync(name)
      return (stats.mode & 0o777) !== (stats.isDirectory() ? 0o700 : 0o600)
    }),
  )
  assert.equal(statSync(sandbox.dataDir).mode & 0o777, 0o700)
  assert.ok(folders.every((folder) => below(folder).length > 0))
  assert.deepEqual(
    wrong.map((name) => `${(statSync(name).mode & 0o777).toString(8)} ${name}`),
    [],
  )
  await server.stop()
})

test('a key is taken out of errors alone, and only when it is one; a success keeps every byte', () => {
  const shown = (status: number, key: string, body: string): string =>
    inspectAnswer({ status, headers: {}, body: Buffer.from(body), firstByteAt: 0 }, key).body.toString('utf8')
  const key = 'sk-0123456789abcdef'
  assert.equal(shown(400, key, `{"é":"${key}${key}, sk-2"}`), '{"é":"********, sk-2"}')
  assert.equal(shown(400, key, '{"a":"é"}'), '{"a":"é"}')
  assert.equal(shown(200, key, `{"a":"${key}"}`), `{"a":"${key}"}`)
  assert.equal(shown(400, 'test', '{"a":"no such test"}'), '{"a":"no such test"}')
})

const read = (path: string): string => readFileSync(join(projectFolder, path), 'utf8')

test('secrets are compared by their hashes, in constant time, and in one place', () => {
  const access = read('src/api/access.ts')
  assert.match(
    access,
    /timingSafeEqual\(Buffer\.from\(keyHash\(given\), 'hex'\), Buffer\.from\(keyHash\(wanted\), 'hex'\)\)/,
  )
  // The look-up goes by the hash too; no code compares a token or a key with an operator.
  const comparing =
    /(===|!==|==|!=)\s*(\w+\.)*(ownerToken|bearer|secret)\b|\b(ownerToken|bearer|secret)\s*(===|!==)(?!\s*(null|undefined)\b)/
  const wrong = globSync('src/**/*.ts', { cwd: projectFolder }).filter(
    (path) => !path.endsWith('.test.ts') && comparing.test(read(path)),
  )
  assert.deepEqual(wrong, [])
})

type Lock = {
  packages: Record<string, { dev?: boolean; hasInstallScript?: boolean; integrity?: string; link?: boolean }>
}

test('what is installed is what the lock file names, and nothing of it runs while it is installed', () => {
  assert.match(read('.ci/run'), /^npm ci\b/m)
  assert.doesNotMatch(read('.ci/run'), /npm (i|install|update|add)\b/)
  const { packages } = JSON.parse(read('package-lock.json')) as Lock
  const runtime = Object.entries(packages).filter(
    ([name, { dev }]) => name.startsWith('node_modules/') && dev !== true,
  )
  assert.ok(runtime.length > 20)
  assert.deepEqual(
    runtime.filter(([, { hasInstallScript }]) => hasInstallScript === true),
    [],
  )
  assert.deepEqual(
    runtime.filter(([, { integrity, link }]) => integrity === undefined && link !== true),
    [],
  )
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
    assert.equal(scripts[script], undefined)
})
