import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { ServerConfig } from '../src/domain/config.ts'
import { type RunningServer, startServer } from '../src/server.ts'
import { readServerConfig } from '../src/server-config.ts'
import { batchWhen, createBatch } from './kit/batch-api.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'

const folder = mkdtempSync(join(tmpdir(), 'dw-'))
const upstream = await startScriptedUpstream({ models: ['m'] })
after(async () => {
  await upstream.stop()
  rmSync(folder, { recursive: true, force: true })
})

function start(limits: Partial<ServerConfig['limits']>): Promise<RunningServer> {
  const dataDir = join(folder, 'data')
  const config = readServerConfig({ file: null, flags: { port: 0, dataDir, simulated: 'off' }, env: {} })
  const upstreams = [{ name: 'm', url: upstream.url, key: null, concurrency: 4 }]
  const changed = {
    ...config,
    upstreams,
    logLevel: 'silent' as const,
    limits: { ...config.limits, ...limits },
  }
  return startServer(changed, { mayMovePort: true, env: { DW_STATE_DIR: join(folder, 'state') } })
}

const line = JSON.stringify({
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'm', messages: [{ role: 'user', content: 'hello' }] },
})

function upload(server: RunningServer): Promise<Response> {
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob([`${line}\n`]), 'a.jsonl')
  return fetch(`${server.url}/v1/files`, { method: 'POST', body: form })
}

test('below the first mark of free space an upload gets 507, keeps nothing, and works again when there is room', async () => {
  const server = await start({ uploadFreeBytesMin: Number.MAX_SAFE_INTEGER })
  const reply = await upload(server)
  assert.equal(reply.status, 507)
  const body = (await reply.json()) as { error: { code: string; type: string } }
  assert.deepEqual([body.error.code, body.error.type], ['insufficient_storage', 'server_error'])
  assert.equal(reply.headers.get('x-should-retry'), 'false')
  assert.deepEqual(readdirSync(join(folder, 'data', 'blobs')), [])
  await server.stop()
  const again = await start({})
  assert.equal((await upload(again)).status, 200)
  await again.stop()
})

test('below the second mark nothing is dispatched, the batch says why, and it goes on when there is room', async () => {
  const server = await start({ uploadFreeBytesMin: 0, dispatchFreeBytesMin: Number.MAX_SAFE_INTEGER })
  const { id: fileId } = (await (await upload(server)).json()) as { id: string }
  // The mark is looked at once a second; what started before it counts as begun.
  const held = async (): Promise<{ id: string }> => {
    const ready = await fetch(`${server.url}/ready`)
    return ready.status === 503 ? createBatch(server.url, fileId) : held()
  }
  const { id } = await held()
  const waiting = await batchWhen(server.url, id, (batch) => batch.status === 'in_progress')
  assert.match(
    (waiting as unknown as { dw: { state_reason: string } }).dw.state_reason,
    /disk of the data folder is nearly full/,
  )
  assert.equal(upstream.calls.length, 0)
  const { unfinishedBatches } = await server.stop()
  assert.equal(unfinishedBatches, 1)
  const again = await start({})
  const ended = await batchWhen(again.url, id, (batch) => batch.status === 'completed')
  assert.deepEqual(ended.request_counts, { total: 1, completed: 1, failed: 0 })
  await again.stop()
})

test('a data folder that another server has is refused, with its name and what to do', async () => {
  const server = await start({})
  await assert.rejects(start({}), /data folder .* is in use/)
  await server.stop()
})
