/** Logging in: the key is tried at the address that was given and nowhere else, and the form that answers is remembered. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startDwRunner } from './kit/dw-runner.ts'
import { startTestServer } from './kit/running-server.ts'
import { createSandbox, runDw } from './kit/server-process.ts'

const sandbox = createSandbox()
const runner = startDwRunner()
const server = await startTestServer({ isKeyRequired: true })
after(async () => {
  await runner.stop()
  await server.remove()
  sandbox.remove()
})

const configHome = (name: string) => ({ XDG_CONFIG_HOME: sandbox.path(name) })
const run = (words: readonly string[], env: NodeJS.ProcessEnv) =>
  runner.run(words, { cwd: sandbox.folder, env: { ...sandbox.env, ...env } })

test('a key of our server: login says whose it is, whoami and the stored file agree', async () => {
  const key = server.firstKey ?? ''
  const env = configHome('own')
  const login = await runDw(['login', `${server.url}/`, '--name', 'own', '--key-stdin'], {
    cwd: sandbox.folder,
    env: { ...sandbox.env, ...env },
    stdin: `${key}\n`,
  })
  assert.equal(login.exitCode, 0, login.stderr)
  assert.match(login.stderr, new RegExp(`It answers at ${server.url}/v1: that address is remembered`))
  assert.match(login.stderr, /the key is of tenant local/)
  const { exitCode, stdout } = await run(['whoami'], env)
  assert.equal(exitCode, 0)
  const { key_id, key_origin, ...shown } = JSON.parse(stdout)
  assert.match(key_id, /^key_/)
  assert.match(key_origin, /config\.toml:\d$/)
  assert.deepEqual(shown, {
    server: `${server.url}/v1`,
    server_origin: join(sandbox.path('own'), 'dw', 'config.toml:4'),
    profile: 'own',
    key: `…${key.slice(-4)}`,
    is_dw: true,
    tenant: 'local',
    access: 'key',
    models: 0,
  })
})

test('a key that does not hold is not stored, nor is one for a web page', async () => {
  const env = { ...configHome('wrong'), DW_API_KEY: 'sk-wrong-key-0000' }
  const refused = await run(['login', server.url], env)
  assert.equal(refused.exitCode, 4, refused.stderr)
  await withService(
    (_request, reply) => void reply.setHeader('content-type', 'text/html').end('<!doctype html>'),
    async (url) => {
      const page = await run(['login', url], env)
      assert.equal(page.exitCode, 9)
      assert.match(page.stderr, /error\[no_api\]: .*\/v1\/models: no JSON\. .*\/models: no JSON/)
    },
  )
  assert.equal(existsSync(join(sandbox.path('wrong'), 'dw', 'config.toml')), false)
})

test('a service without a version in its paths is used as it is, and what it does not tell is shown as unknown', () =>
  withService(
    (request, reply) => {
      const isThere =
        request.url === '/openai/models' && request.headers.authorization === 'Bearer sk-foreign-12345'
      reply.statusCode = isThere ? 200 : 404
      reply.end(
        isThere ? '{"object":"list","data":[{"id":"m","object":"model"}]}' : '{"error":{"message":"no"}}',
      )
    },
    async (url) => {
      const env = { ...configHome('foreign'), DW_API_KEY: 'sk-foreign-12345' }
      const login = await run(['login', `${url}/openai/`, '--name', 'foreign'], env)
      assert.equal(login.exitCode, 0, login.stderr)
      assert.match(login.stderr, /does not tell whose key it is/)
      assert.match(
        readFileSync(join(env.XDG_CONFIG_HOME, 'dw', 'config.toml'), 'utf8'),
        /\/openai"\nexact_url = true\n/,
      )
      const { stdout } = await run(['whoami'], configHome('foreign'))
      const { server: address, tenant, access, key_id, models } = JSON.parse(stdout)
      assert.deepEqual([address, tenant, access, key_id, models], [`${url}/openai`, null, null, null, 1])
    },
  ))

test('a name that is another server’s is refused: its key would be lost', async () => {
  const env = { ...configHome('taken'), DW_API_KEY: server.firstKey ?? '' }
  assert.equal((await run(['login', server.url, '--name', 'prod'], env)).exitCode, 0)
  const before = readFileSync(join(env.XDG_CONFIG_HOME, 'dw', 'config.toml'), 'utf8')
  const second = await run(['login', 'http://127.0.0.1:9999', '--name', 'prod'], env)
  assert.equal(second.exitCode, 2)
  assert.match(second.stderr, /Profile 'prod' is of .*another server/)
  assert.equal(readFileSync(join(env.XDG_CONFIG_HOME, 'dw', 'config.toml'), 'utf8'), before)
})

async function withService(
  handle: (request: IncomingMessage, reply: ServerResponse) => void,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const service = createServer(handle)
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  try {
    // A server that listens on a port has such an address.
    await body(`http://127.0.0.1:${(service.address() as AddressInfo).port}`)
  } finally {
    service.closeAllConnections()
    service.close()
  }
}
