/** Nobody is there: no terminal, nothing on standard input, no server. Every command says so and ends; none waits, none destroys. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Argument, CommandSpec } from '../src/cli/command.ts'
import { commands } from '../src/cli/commands.ts'
import { alwaysExits, exitCode } from '../src/cli/exit-codes.ts'
import { startDwRunner } from './kit/dw-runner.ts'
import { createSandbox, dwPath, runDw, runOnTerminal } from './kit/server-process.ts'

/** Required by the reference. */
const COMMAND_MS_MAX = 5_000
const RUNNERS = 6

const sandbox = createSandbox()
const runners = Array.from({ length: RUNNERS }, () => startDwRunner())
after(async () => {
  await Promise.all(runners.map((runner) => runner.stop()))
  sandbox.remove()
})

const env = { ...sandbox.env, CI: '1' }
// Whatever a command may leave lies in a folder of its own.
const folderOf = (spec: CommandSpec, mode: string): string => {
  const folder = sandbox.path(`${mode}-${spec.path.join('-')}`)
  mkdirSync(folder, { recursive: true })
  return folder
}

/** The command with all that it demands, of which nothing exists. */
function wordsOf(spec: CommandSpec): string[] {
  // A server runs until it is stopped: what it must not do is ask.
  const more = spec.path.join(' ') === 'serve' ? ['--config', 'missing.toml'] : []
  return [...spec.path, ...spec.arguments.flatMap(valueFor), ...more]
}

function valueFor({ name, kind, choices, isOptional }: Argument): string[] {
  if (isOptional === true && choices === undefined) return []
  return [
    choices?.[0] ??
      (kind === 'path' ? 'missing.jsonl' : name === 'url' ? 'http://127.0.0.1:9999' : `${name}-x`),
  ]
}

/** All at once on several processes, each command with its own time. */
async function runAll(
  specs: readonly CommandSpec[],
  mode: { name: string; env: NodeJS.ProcessEnv },
): Promise<{ wrong: string[]; codes: Map<string, number> }> {
  const waiting = [...specs]
  const wrong: string[] = []
  const codes = new Map<string, number>()
  const work = async (runner: (typeof runners)[number]): Promise<void> => {
    // What a process needs to start is not the time of its first command.
    await runner.run(['--version'], { cwd: sandbox.folder, env })
    for (let spec = waiting.shift(); spec !== undefined; spec = waiting.shift()) {
      const startedAt = performance.now()
      const end = await runner.run(wordsOf(spec), {
        cwd: folderOf(spec, mode.name),
        env: { ...env, ...mode.env },
      })
      const ms = performance.now() - startedAt
      const allowed = [...alwaysExits, ...(spec.exits ?? [])].map(exitCode)
      codes.set(spec.path.join(' '), end.exitCode)
      if (ms >= COMMAND_MS_MAX || !allowed.includes(end.exitCode) || end.exitCode === exitCode('unexpected'))
        wrong.push(`${wordsOf(spec).join(' ')}: ${end.exitCode} after ${Math.round(ms)} ms: ${end.stderr}`)
    }
  }
  await Promise.all(runners.map(work))
  return { wrong, codes }
}

test('R11: without a terminal and without a server every command ends by itself, with an exit code that it documents', async () => {
  const { wrong, codes } = await runAll(commands, { name: 'none', env: {} })
  assert.deepEqual(wrong, [])
  assert.equal(codes.size, commands.length)
})

test('R11: with a server that cannot be reached every command that asks it ends within its time', async () => {
  const asking = commands.filter(({ exits }) => exits?.includes('unreachable') === true)
  assert.ok(asking.length > 10)
  const closed = await closedUrl()
  const { wrong } = await runAll(asking, { name: 'closed', env: { DW_SERVER: closed, DW_OWNER_TOKEN: 'x' } })
  assert.deepEqual(wrong, [])
})

async function closedUrl(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

test('R11: what destroys something needs --yes: exit 2, the command to run, and nothing is changed', async () => {
  const asked: string[] = []
  const server = createServer((request, reply) => {
    asked.push(`${request.method} ${request.url}`)
    reply.setHeader('content-type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const XDG_CONFIG_HOME = sandbox.path('config-yes')
  const config = join(XDG_CONFIG_HOME, 'dw', 'config.toml')
  mkdirSync(join(XDG_CONFIG_HOME, 'dw'), { recursive: true })
  writeFileSync(config, `[profiles.prod]\nurl = "${url}"\n`)
  const before = readFileSync(config, 'utf8')
  try {
    for (const words of [
      ['batches', 'cancel', 'batch_a'],
      ['files', 'delete', 'file-a'],
      ['keys', 'revoke', 'key_a'],
      ['upstream', 'remove', 'engine'],
      ['account', 'remove', 'prod'],
    ]) {
      const end = await runDw(words, {
        cwd: sandbox.folder,
        env: { ...env, XDG_CONFIG_HOME, DW_SERVER: url, DW_OWNER_TOKEN: 'x' },
      })
      assert.equal(end.exitCode, 2, `${words.join(' ')}: ${end.stderr}`)
      assert.ok(end.stderr.includes(`dw ${words.join(' ')} --yes`), end.stderr)
      assert.equal(end.stdout, '')
    }
    assert.deepEqual(
      asked.filter((line) => !line.startsWith('GET ')),
      [],
    )
    assert.equal(readFileSync(config, 'utf8'), before)
    const named = await runDw(['batches', 'cancel', 'batch_a', '--server', url], { cwd: sandbox.folder, env })
    assert.match(named.stderr, new RegExp(`dw batches cancel batch_a --yes --server ${url}`))
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('R11: a key that standard input should hold and does not is a usage error', async () => {
  const end = await runDw(['login', 'http://127.0.0.1:9', '--key-stdin'], { cwd: sandbox.folder, env })
  assert.equal(end.exitCode, 2)
  assert.match(end.stderr, /Standard input held no key/)
})

test('R11: --no-input asks nothing on a terminal either', async () => {
  const { exitCode, output } = await runOnTerminal(
    process.execPath,
    [dwPath, 'batches', 'cancel', 'batch_a', '--no-input', '--server', 'http://127.0.0.1:9999'],
    { cwd: sandbox.folder, env: sandbox.env },
  )
  assert.equal(exitCode, 2, output)
  assert.match(output, /To go ahead: dw batches cancel batch_a --yes/)
})
