/** Each thing that `dw doctor` looks at, broken alone: that check fails, no other does, and its fix names what to do. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { VERSION } from '../src/lib/version.ts'
import { tls } from '../torture/upstream/tls.ts'
import { startDwRunner } from './kit/dw-runner.ts'
import { startTestServer, type TestConfig } from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'
import { createSandbox } from './kit/server-process.ts'

const sandbox = createSandbox()
const runner = startDwRunner()
const upstream = await startScriptedUpstream({ models: ['plain'] })
after(async () => {
  await runner.stop()
  await upstream.stop()
  sandbox.remove()
})

type Result = { check: string; status: string; message: string; fix: string | null }

const doctor = (words: readonly string[], more: { env?: NodeJS.ProcessEnv; cwd?: string } = {}) =>
  runner.run(['doctor', ...words], { cwd: more.cwd ?? sandbox.folder, env: { ...sandbox.env, ...more.env } })

type Broken = {
  check: string
  exitCode: number
  message: RegExp
  fix: RegExp
}

async function assertFindsOnly(broken: Broken, more: Parameters<typeof doctor>[1] = {}): Promise<void> {
  const { exitCode, stdout } = await doctor(['--json'], more)
  const results: Result[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const failed = results.filter(({ status }) => status === 'fail')
  assert.deepEqual(
    failed.map(({ check }) => check),
    [broken.check],
    stdout,
  )
  assert.match(failed[0]?.message ?? '', broken.message)
  assert.match(failed[0]?.fix ?? '', broken.fix)
  assert.ok(!results.some(({ status }) => status === 'warn'), stdout)
  assert.equal(exitCode, broken.exitCode)
  const quiet = await doctor(['--quiet'], more)
  assert.equal(quiet.exitCode, broken.exitCode)
  assert.equal(quiet.stdout, '')
  assert.match(quiet.stderr, new RegExp(`^${broken.check}: [^\n]*\n$`), 'one line')
}

async function listening(server: Server, body: (url: string) => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo
  try {
    await body(`127.0.0.1:${port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** Of a port that nothing listens on any more. */
async function closedAddress(): Promise<string> {
  const found = Promise.withResolvers<string>()
  await listening(
    service(() => undefined),
    async (host) => found.resolve(host),
  )
  return found.promise
}

const list = '{"object":"list","data":[]}'

/** A foreign service, unless it says that it is ours. */
function service(change: RequestListener): Server {
  return createServer((request, reply) => {
    reply.setHeader('content-type', 'application/json')
    change(request, reply)
    if (!reply.writableEnded) reply.end(list)
  })
}

async function withOwnServer(
  config: TestConfig,
  body: (env: NodeJS.ProcessEnv, dataDir: string) => Promise<void>,
): Promise<void> {
  const server = await startTestServer(config)
  try {
    await body({ DW_STATE_DIR: join(server.folder, 'state') }, server.dataDir)
  } finally {
    await server.remove()
  }
}

test('R29: of a healthy server every check is ok, and --quiet prints nothing', () =>
  withOwnServer({ upstreamUrl: upstream.url }, async (env) => {
    const { exitCode, stdout } = await doctor([], { env })
    assert.equal(exitCode, 0, stdout)
    const results: Result[] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const statuses = Object.fromEntries(results.map(({ check, status }) => [check, status]))
    assert.deepEqual(statuses, {
      config: 'ok',
      node: 'ok',
      dns: 'skipped',
      tcp: 'ok',
      tls: 'skipped',
      http: 'ok',
      auth: 'ok',
      version: 'ok',
      clock: 'ok',
      server: 'ok',
      disk: 'ok',
      upstreams: 'ok',
      'data-folder': 'ok',
    })
    const quiet = await doctor(['--quiet'], { env })
    assert.deepEqual([quiet.exitCode, quiet.stdout, quiet.stderr], [0, '', ''])
  }))

test('R29: a closed port', async () => {
  const closed = await closedAddress()
  await assertFindsOnly(
    { check: 'tcp', exitCode: 9, message: /nothing listens on 127\.0\.0\.1/, fix: /dw serve --port \d+/ },
    { env: { DW_SERVER: `http://${closed}` } },
  )
})

test('R29: a name that does not exist', () =>
  assertFindsOnly(
    {
      check: 'dns',
      exitCode: 9,
      message: /no-such-host\.invalid is not known/,
      fix: /dw config show --origin/,
    },
    { env: { DW_SERVER: 'http://no-such-host.invalid:4111' } },
  ))

test('R29: a certificate that nobody vouches for', () =>
  listening(
    createTlsServer(tls, (_request, reply) => void reply.end(list)),
    (host) =>
      assertFindsOnly(
        { check: 'tls', exitCode: 9, message: /self-signed certificate/, fix: /NODE_EXTRA_CA_CERTS=/ },
        { env: { DW_SERVER: `https://${host}` } },
      ),
  ))

test('R29: a web page in the place of an API', () =>
  listening(
    service((_request, reply) => void reply.setHeader('content-type', 'text/html').end('<!doctype html>')),
    (host) =>
      assertFindsOnly(
        { check: 'http', exitCode: 9, message: /HTML page/, fix: /dw login https:\/\/HOST\/v1/ },
        { env: { DW_SERVER: `http://${host}` } },
      ),
  ))

test('R29: a key that is refused, shown by its end alone', () =>
  listening(
    service((_request, reply) => {
      reply.statusCode = 401
    }),
    async (host) => {
      const env = { DW_SERVER: `http://${host}`, DW_API_KEY: 'sk-secret-secret-1234' }
      await assertFindsOnly(
        {
          check: 'auth',
          exitCode: 4,
          message: /refuses the key …1234 \(DW_API_KEY\)/,
          fix: /dw login http.* --key-stdin/,
        },
        { env },
      )
      assert.doesNotMatch((await doctor([], { env })).stdout, /sk-secret/)
    },
  ))

const HOUR_MS = 3_600_000

test('R29: a clock that is an hour wrong', () =>
  listening(
    service((_request, reply) => void reply.setHeader('date', new Date(Date.now() - HOUR_MS).toUTCString())),
    (host) =>
      assertFindsOnly(
        {
          check: 'clock',
          exitCode: 1,
          message: /differ by (1h|59m\d+s|1h\d+m): the server is behind/,
          fix: /timedatectl/,
        },
        { env: { DW_SERVER: `http://${host}` } },
      ),
  ))

test('R29: a server whose storage is not usable', () =>
  listening(
    service((request, reply) => {
      reply.setHeader('dw-version', VERSION)
      if (request.url !== '/ready') return
      reply.statusCode = 503
      reply.end(JSON.stringify({ status: 'not ready', reason: 'the database does not answer' }))
    }),
    (host) =>
      assertFindsOnly(
        { check: 'server', exitCode: 9, message: /the database does not answer/, fix: /dw serve/ },
        { env: { DW_SERVER: `http://${host}` } },
      ),
  ))

test('R29: an engine that is down', async () => {
  const closed = await closedAddress()
  await withOwnServer({ upstreamUrl: `http://${closed}/v1` }, (env) =>
    assertFindsOnly(
      {
        check: 'upstreams',
        exitCode: 1,
        message: /1 of 1 engines take no calls: test \(/,
        fix: /dw upstream test test/,
      },
      { env },
    ),
  )
})

test('R29: a disk below its mark', () =>
  withOwnServer(
    { upstreamUrl: upstream.url, limits: { uploadFreeBytesMin: Number.MAX_SAFE_INTEGER } },
    (env) =>
      assertFindsOnly(
        {
          check: 'disk',
          exitCode: 1,
          message: /nearly full \(.* free\): uploads are refused/,
          fix: /upload_free_bytes/,
        },
        { env },
      ),
  ))

test('R29: a data folder that others may enter', () =>
  withOwnServer({ upstreamUrl: upstream.url }, async (env, dataDir) => {
    chmodSync(dataDir, 0o755)
    await assertFindsOnly(
      { check: 'data-folder', exitCode: 1, message: /other users may enter/, fix: /^chmod 700 \// },
      { env },
    )
  }))

test('R29: a configuration that cannot be used', async () => {
  const cwd = sandbox.path('project')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'dw.toml'), 'server = "http://127.0.0.1:1"\nallow_failures = "many"\n')
  await assertFindsOnly(
    { check: 'config', exitCode: 2, message: /dw\.toml: allow_failures 'many'/, fix: /a number such as 10/ },
    { cwd },
  )
})

test('what cannot be known of a service is shown as unknown or skipped, never as ok', () =>
  listening(
    service((_request, reply) => {
      reply.sendDate = false
    }),
    async (host) => {
      const { exitCode, stdout } = await doctor(['--json', '--server', `http://${host}`])
      assert.equal(exitCode, 0, stdout)
      const statuses = Object.fromEntries(
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
          .map(({ check, status }: Result) => [check, status]),
      )
      assert.equal(statuses.clock, 'unknown')
      for (const check of ['version', 'server', 'disk', 'upstreams', 'data-folder'])
        assert.equal(statuses[check], 'skipped', check)
    },
  ))
