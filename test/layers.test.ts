/** Five layers name a server; each has its own key or none. Whatever is set together, no key reaches a host that it was not given for. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startDwRunner } from './kit/dw-runner.ts'
import { createSandbox } from './kit/server-process.ts'

type Host = { name: string; url: string; keys: (string | null)[]; server: Server }

/** Answers every question with an empty list, and remembers who asked. */
async function startRecorder(name: string): Promise<Host> {
  const keys: (string | null)[] = []
  const server = createServer((request, reply) => {
    keys.push(request.headers.authorization?.replace('Bearer ', '') ?? null)
    reply.setHeader('content-type', 'application/json').end('{"object":"list","data":[]}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo
  return { name, url: `http://127.0.0.1:${port}`, keys, server }
}

const hosts = [await startRecorder('A'), await startRecorder('B')] as const
const sandbox = createSandbox()
const runner = startDwRunner()
after(async () => {
  await runner.stop()
  for (const { server } of hosts) {
    server.closeAllConnections()
    server.close()
  }
  sandbox.remove()
})

const layers = ['flag', 'environment', 'openai', 'project', 'profile'] as const
type Layer = (typeof layers)[number]

/** A key says to which host it belongs; the digits at its end tell keys apart when they are masked. */
const keyOf = (host: Host, layer: string): string => `key-of-${host.name}-${layer.slice(0, 2)}${host.name}x`

function folderFor(name: string, toml: string | null): string {
  const folder = sandbox.path(name)
  mkdirSync(join(folder, 'deep', 'down'), { recursive: true })
  mkdirSync(join(folder, '.git'), { recursive: true })
  if (toml !== null) writeFileSync(join(folder, 'dw.toml'), toml)
  return join(folder, 'deep', 'down')
}

function writeConfig(name: string, toml: string): string {
  const folder = sandbox.path(name)
  mkdirSync(join(folder, 'dw'), { recursive: true })
  writeFileSync(join(folder, 'dw', 'config.toml'), toml)
  return folder
}

const profile = (name: string, host: Host): string =>
  `[profiles.${name}]\nurl = "${host.url}"\nkey = "${keyOf(host, name)}"\n`

type Case = { name: string; set: ReadonlySet<Layer>; hostOf: (layer: Layer) => Host; hasSpares: boolean }

const cases: Case[] = Array.from({ length: 64 }, (_, number) => {
  const isSwapped = number >= 32
  const set = new Set(layers.filter((_layer, place) => ((number >> place) & 1) === 1))
  return {
    name: [...set].join(' + ') + (isSwapped ? ' (other way round, with more profiles)' : ''),
    set,
    // Neighbours are of different hosts.
    hostOf: (layer) => hosts[(layers.indexOf(layer) + Number(isSwapped)) % 2 === 0 ? 0 : 1],
    hasSpares: isSwapped,
  }
})

function setUp(number: number, { set, hostOf, hasSpares }: Case) {
  const has = (layer: Layer): boolean => set.has(layer)
  const server = hostOf('project').url
  const cwd = folderFor(`project-${number}`, has('project') ? `server = "${server}/"\n` : null)
  const spares = hasSpares ? profile('spareA', hosts[0]) + profile('spareB', hosts[1]) : ''
  const active = has('profile') ? `active = "mine"\n\n${profile('mine', hostOf('profile'))}` : ''
  const env = {
    ...sandbox.env,
    XDG_CONFIG_HOME: writeConfig(`config-${number}`, active + spares),
    ...(has('environment')
      ? {
          DW_SERVER: hostOf('environment').url,
          DW_API_KEY: keyOf(hostOf('environment'), 'environment'),
          DW_OWNER_TOKEN: keyOf(hostOf('environment'), 'owner'),
        }
      : {}),
    ...(has('openai')
      ? { OPENAI_BASE_URL: `${hostOf('openai').url}/v1`, OPENAI_API_KEY: keyOf(hostOf('openai'), 'openai') }
      : {}),
  }
  return { cwd, env, flags: has('flag') ? ['--server', hostOf('flag').url] : [] }
}

type Value = { name: string; value: string | null; layer: string | null; origin: string | null }

for (const [number, one] of cases.entries()) {
  test(`R12: ${one.name || 'nothing set'}: no key reaches a foreign host, and config show tells what happened`, async () => {
    const { cwd, env, flags } = setUp(number, one)
    for (const host of hosts) host.keys.length = 0
    const used = layers.find((layer) => one.set.has(layer)) ?? null
    const listed = await runner.run(['models', 'list', ...flags], { cwd, env })
    const [own, foreign] =
      used === null || one.hostOf(used) === hosts[0] ? hosts : ([hosts[1], hosts[0]] as const)
    assert.equal(listed.exitCode, used === null ? 9 : 0, listed.stderr)
    assert.deepEqual([own.keys.length, foreign.keys.length], [used === null ? 0 : 1, 0])
    const key = own.keys[0] ?? null
    const overridden = one.set.has('profile') && used !== 'profile' && used !== 'flag'
    const isOtherHost = used !== null && one.hostOf(used) !== one.hostOf('profile')
    assert.equal(/overrides profile 'mine'/.test(listed.stderr), overridden && isOtherHost, listed.stderr)

    // Routes of the owner, and the way a doctor looks.
    await runner.run(['upstream', 'list', ...flags], { cwd, env })
    if (!one.hasSpares) await runner.run(['doctor', ...flags], { cwd, env })
    for (const host of hosts)
      for (const sent of host.keys)
        assert.ok(sent === null || sent.startsWith(`key-of-${host.name}-`), sent ?? '')

    const shown = await runner.run(['config', 'show', '--origin', '--json', ...flags], { cwd, env })
    const { settings }: { settings: Value[] } = JSON.parse(shown.stdout)
    const [server, keyShown] = settings
    assert.equal(server?.layer, used)
    assert.equal(server?.value, used === null ? null : `${own.url}/v1`)
    assert.equal(keyShown?.value, key === null ? null : `…${key.slice(-4)}`)
    if (used !== null) assert.match(server?.origin ?? '', originOf[used])
    if (key !== null) assert.match(keyShown?.origin ?? '', /^(DW_API_KEY|OPENAI_API_KEY|.*config\.toml:\d+)$/)
    assert.ok(!shown.stdout.includes('key-of-'), 'keys are masked')
  })
}

const originOf: Record<Layer, RegExp> = {
  flag: /^--server$/,
  environment: /^DW_SERVER$/,
  openai: /^OPENAI_BASE_URL$/,
  project: /project-\d+\/dw\.toml:1$/,
  profile: /config\.toml:4$/,
}

const [hostA, hostB] = hosts
const run = (words: readonly string[], more: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) =>
  runner.run(words, { cwd: more.cwd ?? sandbox.folder, env: { ...sandbox.env, ...more.env } })

test('R12: keys that stand alone in the environment do not follow a project file', async () => {
  for (const host of hosts) host.keys.length = 0
  const cwd = folderFor('somebody-else', `server = "${hostB.url}"\n`)
  const XDG_CONFIG_HOME = writeConfig('config-alone', '')
  for (const name of ['DW_API_KEY', 'OPENAI_API_KEY', 'DW_OWNER_TOKEN']) {
    const env = { XDG_CONFIG_HOME, [name]: keyOf(hostA, 'alone') }
    assert.equal((await run(['models', 'list'], { cwd, env })).exitCode, 0)
    await run(['keys', 'list'], { cwd, env })
  }
  assert.deepEqual(hostB.keys, [null, null, null])
})

test('R12: the line about an override is said once, and not with --quiet', async () => {
  const env = {
    XDG_CONFIG_HOME: writeConfig('config-quiet', `active = "prod"\n${profile('prod', hostA)}`),
    OPENAI_BASE_URL: hostB.url,
    OPENAI_API_KEY: keyOf(hostB, 'openai'),
  }
  const said = await run(['models', 'list'], { env })
  assert.deepEqual(said.stderr.match(/using OPENAI_BASE_URL .*, overrides profile 'prod'/g)?.length, 1)
  assert.equal((await run(['models', 'list', '--quiet'], { env })).stderr, '')
})

test('R12: a key in a project file is refused with its line, before anything is sent', async () => {
  for (const host of hosts) host.keys.length = 0
  for (const [toml, line] of [
    [`server = "${hostA.url}"\napi_key = "sk-secret-1"\n`, 2],
    [`[profiles.mine]\nurl = "${hostA.url}"\nkey = "sk-secret-1"\n`, 3],
  ] as const) {
    const cwd = folderFor(`leaky-${line}`, toml)
    const { exitCode, stderr } = await run(['models', 'list'], { cwd })
    assert.equal(exitCode, 2)
    assert.match(stderr, new RegExp(`error\\[key_in_project\\]: .*dw\\.toml:${line}: .* is a secret`))
    assert.ok(!stderr.includes('sk-secret-1'))
  }
  assert.deepEqual([...hostA.keys, ...hostB.keys], [])
})

test('a project file is looked for up to the root of the repository and not beyond', async () => {
  const outer = folderFor('outer', `server = "${hostA.url}"\n`)
  const inner = join(outer, 'inner', 'src')
  mkdirSync(inner, { recursive: true })
  const serverIn = async (cwd: string): Promise<string | null> =>
    JSON.parse((await run(['config', 'show', '--json'], { cwd })).stdout).server
  assert.equal(await serverIn(inner), `${hostA.url}/v1`)
  mkdirSync(join(outer, 'inner', '.git'))
  assert.equal(await serverIn(inner), null)
})

test('settings come from the option, the environment, the project, then the profile whose server is used', async () => {
  const toml = 'completion_window = "2h"\nmodel = "of-project"\n'
  const cwd = folderFor('settings', toml)
  const XDG_CONFIG_HOME = writeConfig(
    'config-settings',
    `active = "mine"\n${profile('mine', hostA)}completion_window = "3h"\nallow_failures = "5%"\n`,
  )
  const settingsWith = async (env: NodeJS.ProcessEnv): Promise<Record<string, unknown>> => {
    const { stdout } = await run(['config', 'show', '--origin', '--json'], {
      cwd,
      env: { XDG_CONFIG_HOME, ...env },
    })
    const { settings }: { settings: Value[] } = JSON.parse(stdout)
    return Object.fromEntries(
      settings.slice(2).map(({ name, value, origin }) => [name, `${value} ${origin?.split('/').at(-1)}`]),
    )
  }
  assert.deepEqual(await settingsWith({}), {
    completion_window: '2h dw.toml:1',
    model: 'of-project dw.toml:2',
    allow_failures: '5% config.toml:6',
  })
  const env = { DW_COMPLETION_WINDOW: '4h', DW_SERVER: hostB.url }
  assert.deepEqual(await settingsWith(env), {
    completion_window: '4h DW_COMPLETION_WINDOW',
    model: 'of-project dw.toml:2',
  })
  const data = sandbox.path('words.txt')
  writeFileSync(data, 'hello\n')
  const words = ['files', 'make', data, '--prompt', '{{text}}', '-o', '-']
  const made = await run(words, { cwd, env: { XDG_CONFIG_HOME } })
  assert.equal(JSON.parse(made.stdout).body.model, 'of-project', made.stderr)
  const told = await run([...words, '--model', 'of-flag'], { cwd, env: { XDG_CONFIG_HOME } })
  assert.equal(JSON.parse(told.stdout).body.model, 'of-flag')
})

test('a profile is stored, used, changed, renamed and forgotten, and comments stay where they are', async () => {
  const XDG_CONFIG_HOME = writeConfig(
    'config-life',
    `# mine\nactive = "prod"\n\n# paid by the lab\n[profiles.prod]\nurl = "${hostA.url}/v1" # the big one\nkey = "key-of-A-prod"\nnote = "kept"\n`,
  )
  const path = join(XDG_CONFIG_HOME, 'dw', 'config.toml')
  const env = { XDG_CONFIG_HOME, DW_API_KEY: keyOf(hostB, 'inline') }
  const fine = async (...words: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await run(words, { env: { XDG_CONFIG_HOME } })
    assert.equal(exitCode, 0, `${words.join(' ')}: ${stderr}`)
    return stdout
  }
  // Its host is that of the active profile, so it is not sent to another one.
  hostB.keys.length = 0
  const refused = await run(['login', hostB.url, '--name', 'other'], { env })
  assert.equal(refused.exitCode, 2)
  assert.match(refused.stderr, /DW_API_KEY is of another server/)
  assert.deepEqual(hostB.keys, [])

  await fine('login', hostB.url, '--name', 'other')
  await fine('config', 'set', 'completion_window', '1h')
  await fine('account', 'use', 'prod')
  await fine('account', 'rename', 'prod', 'lab')
  await fine('config', 'set', 'allow_failures', '5%')
  const shown = JSON.parse(await fine('account', 'show'))
  assert.deepEqual(shown, {
    name: 'lab',
    active: true,
    url: `${hostA.url}/v1`,
    key: '…prod',
    completion_window: null,
    model: null,
    allow_failures: '5%',
  })
  await fine('account', 'remove', 'other', '--yes')
  const text = readFileSync(path, 'utf8')
  assert.match(
    text,
    /# mine\nactive = "lab"\n\n# paid by the lab\n\[profiles\.lab\]\nurl = ".*" # the big one\n/,
  )
  assert.match(text, /note = "kept"\nallow_failures = "5%"\n$/)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(statSync(join(XDG_CONFIG_HOME, 'dw')).mode & 0o777, 0o700)
  const typo = await run(['account', 'use', 'lba'], { env: { XDG_CONFIG_HOME } })
  assert.equal(typo.exitCode, 2)
  assert.match(typo.stderr, /did you mean:? 'lab'/i)
  await fine('logout')
  assert.equal(await fine('account', 'list'), '')
})
