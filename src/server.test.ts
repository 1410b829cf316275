import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type TestConfig, testConfig } from '../test/kit/running-server.ts'
import type { WireBatch } from './contract/wire.ts'
import { createSystemClock } from './lib/clock.ts'
import { type RunningServer, type StartOptions, startServer } from './server.ts'

let folder = ''
const running: RunningServer[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dw-'))
})
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function start(config: TestConfig = {}, options: Partial<StartOptions> = {}): Promise<RunningServer> {
  const env = { DW_STATE_DIR: join(folder, 'state') }
  const server = await startServer(testConfig(folder, config), { mayMovePort: false, env, ...options })
  running.push(server)
  return server
}

async function stop(server: RunningServer): Promise<void> {
  running.splice(running.indexOf(server), 1)
  await server.stop()
}

/** A port that something else listens on. */
async function takenPort(): Promise<{ port: number; free(): Promise<void> }> {
  const other = createServer()
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  return {
    port: (other.address() as AddressInfo).port,
    free: () => new Promise((resolve) => void other.close(() => resolve())),
  }
}

const stateFiles = (): string[] => {
  const path = join(folder, 'state', 'servers')
  return existsSync(path) ? readdirSync(path) : []
}

test('a running server is found by its word in the state folder, which goes when it stops', async () => {
  const server = await start()
  const port = new URL(server.url).port
  const path = join(folder, 'state', 'servers', `${port}.json`)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const word = JSON.parse(readFileSync(path, 'utf8'))
  assert.deepEqual(Object.keys(word).toSorted(), ['dataDir', 'pid', 'startedAt', 'url', 'version'])
  assert.deepEqual([word.url, word.pid, word.dataDir], [server.url, process.pid, server.dataDir])
  await stop(server)
  assert.deepEqual(stateFiles(), [])
})

test('a state folder that cannot be written does not keep a server from running', async () => {
  const env = { DW_STATE_DIR: join(folder, 'a-file') }
  writeFileSync(env.DW_STATE_DIR, '')
  const server = await start({}, { env })
  assert.equal((await fetch(`${server.url}/health`)).status, 200)
})

test('the data folder and what is secret in it belong to their owner alone', async () => {
  const server = await start()
  assert.equal(statSync(server.dataDir).mode & 0o777, 0o700)
  const path = join(server.dataDir, 'owner-token')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(readFileSync(path, 'utf8').trim(), server.ownerToken)
  await stop(server)
  assert.equal((await start()).ownerToken, server.ownerToken)
})

test('one folder has one server', async () => {
  const server = await start()
  await assert.rejects(start(), /is in use by another dw server/)
  assert.equal((await fetch(`${server.url}/health`)).status, 200)
})

test('a port that is taken is refused when it was asked for, else the next free one is used', async () => {
  const taken = await takenPort()
  try {
    await assert.rejects(start({ port: taken.port }), /is taken: .* choose another with --port/)
    const server = await start({ port: taken.port }, { mayMovePort: true })
    assert.ok(Number(new URL(server.url).port) > taken.port)
  } finally {
    await taken.free()
  }
})

test('a first key is made only by a server that can show it', async () => {
  const taken = await takenPort()
  await assert.rejects(start({ port: taken.port, isKeyRequired: true }), /is taken/)
  await taken.free()
  const server = await start({ isKeyRequired: true })
  const key = server.firstKey ?? assert.fail('the first key was made and lost')
  const reply = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
  assert.equal(reply.status, 200)
  await stop(server)
  assert.equal((await start({ isKeyRequired: true })).firstKey, null)
})

test('a start that fails leaves nothing open', async () => {
  const taken = await takenPort()
  await assert.rejects(start({ port: taken.port }), /is taken/)
  await taken.free()
  // The folder is free again, and so is everything in it.
  await start()
  assert.equal(stateFiles().length, 1)
})

test('a server tells the time by the clock it is given', async () => {
  const at = 1_900_000_000_000
  const server = await start({}, { clock: { ...createSystemClock(), now: () => at } })
  const reply = await fetch(`${server.url}/v1/batches`, {
    method: 'POST',
    body: JSON.stringify({ input_file_id: 'f', endpoint: '/v1/embeddings', completion_window: '24h' }),
  })
  const batch = (await reply.json()) as WireBatch
  assert.deepEqual([batch.created_at, batch.expires_at], [at / 1000, at / 1000 + 86_400])
})

test('stopping does not wait for a caller that never ends its request', async () => {
  const server = await start({ timing: { drainMs: 0 } })
  const port = new URL(server.url).port
  const socket = connect(Number(port), '127.0.0.1').resume()
  socket.on('error', () => {
    // A cut may look like a reset.
  })
  await once(socket, 'connect')
  socket.write(`POST /v1/batches HTTP/1.1\r\nhost: localhost:${port}\r\ncontent-length: 100\r\n\r\nhalf`)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await stop(server)
  await closed
})

test('a server on every address demands a key', async () => {
  const server = await start({ host: '0.0.0.0' })
  assert.notEqual(server.firstKey, null)
  assert.deepEqual(stateFiles(), [])
  const port = new URL(server.url).port
  assert.equal((await fetch(`http://127.0.0.1:${port}/v1/models`)).status, 401)
})
