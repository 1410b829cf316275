import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { openRig, TENANT } from '../../test/kit/service-rig.ts'
import { blobNames } from '../blobs/blobs.ts'
import { newId } from '../domain/ids.ts'
import { JANITOR_MS, JANITOR_PAGE } from '../domain/limits.ts'
import { TroubleError } from '../lib/errors.ts'
import { createSeededRandom } from '../lib/random.ts'
import { layoutOf } from '../results/disk/layout.ts'
import { Janitor } from './janitor.ts'

const rig = await openRig()
after(() => rig.close())

const good = jsonl([chatLine(1), chatLine(2)])
const random = createSeededRandom(3)
const blobList = (): string[] => readdirSync(join(rig.folder, 'blobs')).sort()
const blobsOf = (fileId: string): string[] => blobList().filter((name) => name.startsWith(fileId))

let troubles: string[] = []
beforeEach(() => {
  troubles = []
})

function createJanitor(more: Partial<ConstructorParameters<typeof Janitor>[0]> = {}): Janitor {
  return new Janitor({ ...rig, onTrouble: (what) => troubles.push(what), ...more })
}

test('the bytes of a deleted input stay until no live batch needs them', async () => {
  const input = await rig.upload(`${good}${jsonl([chatLine(3, { model: 'sim/other' })])}`)
  const batch = await rig.create(input.id)
  await rig.service.deleteFile(TENANT, input.id)
  assert.equal(await rig.service.getFile(TENANT, input.id), null)
  const janitor = createJanitor()
  await janitor.tidy()
  assert.deepEqual(
    blobsOf(input.id),
    ['data', 'index', 'plan'].map((part) => `${input.id}.${part}`),
  )
  await rig.end(batch.id, 'cancelled')
  await janitor.tidy()
  assert.deepEqual(blobsOf(input.id), [])
  assert.equal(await rig.store.files.getEvenDeleted(input.id), null)
  assert.deepEqual(troubles, [])
})

test('files whose time has come go with their bytes: inputs, findings and results', async () => {
  const bad = await rig.upload('{"a":1}', { seconds: 3_600 })
  const input = await rig.upload(good)
  const batch = await rig.create(input.id, { outputExpiresAfterSeconds: 3_600 })
  await rig.answer(batch.id, [
    { lineIndex: 0, outcome: 'succeeded' },
    { lineIndex: 1, outcome: 'failed' },
  ])
  await rig.end(batch.id, 'completed')
  const layout = layoutOf(join(rig.folder, 'results'))
  const paths = { output: layout.lines(batch.seq, 'output'), error: layout.lines(batch.seq, 'error') }
  const janitor = createJanitor()
  await janitor.tidy()
  assert.ok(existsSync(paths.output) && existsSync(paths.error))
  assert.equal(await rig.read(batch.outputFileIdReserved), '{"line":0}\n')
  assert.deepEqual(blobsOf(bad.id).length, 3)
  rig.clock.advance(3_600_000)
  await janitor.tidy()
  assert.deepEqual(blobsOf(bad.id), [])
  for (const [kind, path] of Object.entries(paths)) {
    const id = kind === 'output' ? batch.outputFileIdReserved : batch.errorFileIdReserved
    assert.equal((await rig.store.files.getEvenDeleted(id))?.deletedAt, rig.clock.now())
    assert.equal(existsSync(path), false)
  }
  assert.equal((await rig.service.analyse(TENANT, batch.id))?.requests.completed, 1)
  assert.deepEqual(troubles, [])
})

test('results whose removal was cut short by a crash are removed in the next round', async () => {
  const batch = await rig.create((await rig.upload(good)).id, { outputExpiresAfterSeconds: 3_600 })
  await rig.answer(batch.id, [{ lineIndex: 0, outcome: 'succeeded' }])
  await rig.end(batch.id, 'completed')
  rig.clock.advance(3_600_000)
  const files = {
    ...rig.store.files,
    hide: () => Promise.reject(new TroubleError('stopped', 'crashed here')),
  }
  await createJanitor({ store: { ...rig.store, files } }).tidy()
  assert.equal(troubles.length, 1)
  assert.equal((await rig.store.files.getEvenDeleted(batch.outputFileIdReserved))?.deletedAt, null)
  await createJanitor().tidy()
  assert.equal((await rig.store.files.getEvenDeleted(batch.outputFileIdReserved))?.deletedAt, rig.clock.now())
})

/** Rows of inputs that were deleted, the last one with its bytes. */
async function deletedInputs(count: number): Promise<string[]> {
  const sample = await rig.upload(good)
  const ids = Array.from({ length: count }, () => newId('file-', rig.clock.now(), random)).sort()
  for (const id of ids) await rig.store.files.create({ ...sample, id, deletedAt: rig.clock.now() })
  await rig.blobs.put(blobNames.data(ids.at(-1) ?? ''), [Buffer.from(good)])
  return ids
}

async function hasRow(id: string): Promise<boolean> {
  return (await rig.store.files.getEvenDeleted(id)) !== null
}

test('one round takes as many files as have come due', async () => {
  const ids = await deletedInputs(JANITOR_PAGE + 20)
  await createJanitor().tidy()
  for (const id of ids) assert.equal(await hasRow(id), false)
  assert.deepEqual(blobsOf(ids.at(-1) ?? ''), [])
})

test('a file that cannot be removed stops no other, and is met again in the next round', async () => {
  const ids = await deletedInputs(JANITOR_PAGE)
  const [stuck = '', ...others] = ids
  const remove = (name: string): Promise<void> =>
    name.startsWith(stuck) ? Promise.reject(new TroubleError('disk_failed', 'stuck')) : rig.blobs.remove(name)
  await createJanitor({ blobs: { ...rig.blobs, remove } }).tidy()
  assert.deepEqual(troubles, [`tidying up ${stuck}`])
  assert.equal(await hasRow(stuck), true)
  for (const id of others) assert.equal(await hasRow(id), false)
  assert.deepEqual(blobsOf(ids.at(-1) ?? ''), [])
  await createJanitor().tidy()
  assert.equal(await hasRow(stuck), false)
})

test('the results of a live batch are never removed, whatever the list of expired files says', async () => {
  const batch = await rig.create((await rig.upload(good)).id, { outputExpiresAfterSeconds: 3_600 })
  await rig.answer(batch.id, [{ lineIndex: 0, outcome: 'succeeded' }])
  const row = await rig.store.files.get(batch.outputFileIdReserved, null)
  assert.ok(row !== null)
  const files = { ...rig.store.files, expired: async () => [row] }
  await createJanitor({ store: { ...rig.store, files } }).tidy()
  assert.equal(await rig.read(row.id), '{"line":0}\n')
})

test('a sweep removes what a crash left without a row, and nothing that has one or was begun since the start', async () => {
  const kept = await rig.upload(good)
  const orphan = newId('file-', rig.clock.now(), random)
  for (const nameOf of Object.values(blobNames)) await rig.blobs.put(nameOf(orphan), [Buffer.from('left')])
  await rig.blobs.put('notes.data', [Buffer.from('not ours')])
  await rig.blobs.put('file-2.notes', [Buffer.from('not ours')])
  rig.clock.advance(1)
  const startedAt = rig.clock.now()
  const running = newId('file-', startedAt, random)
  await rig.blobs.put(blobNames.data(running), [Buffer.from('its row comes later')])

  await createJanitor().sweep(startedAt)
  assert.deepEqual(blobsOf(orphan), [])
  assert.deepEqual(blobsOf(running), [blobNames.data(running)])
  assert.deepEqual([...blobsOf('notes'), ...blobsOf('file-2.n')], ['notes.data', 'file-2.notes'])
  assert.equal(await rig.read(kept.id), good)
  rig.clock.advance(1)
  await createJanitor().sweep(rig.clock.now())
  assert.deepEqual(blobsOf(running), [])
})

test('a started janitor sweeps, tidies, and comes by again, until it is stopped', async () => {
  const file = await rig.upload(good)
  const orphan = newId('file-', rig.clock.now(), random)
  await rig.blobs.put(blobNames.data(orphan), [Buffer.from('left')])
  rig.clock.advance(1)
  const rounds = roundsOf()
  const janitor = createJanitor({ store: rounds.store })
  await janitor.start()
  await rounds.ended(1)
  assert.deepEqual(blobsOf(orphan), [])
  await rig.service.deleteFile(TENANT, file.id)
  rig.clock.advance(JANITOR_MS)
  await rounds.ended(2)
  assert.deepEqual(blobsOf(file.id), [])
  await janitor.stop()
  assert.deepEqual(rig.clock.waiting(), [])
  assert.deepEqual(troubles, [])
})

/** Tells when rounds of a janitor on this store have asked their last question and set their next timer. */
function roundsOf() {
  let count = 0
  const waiting: { count: number; resolve: () => void }[] = []
  const { files } = rig.store
  const removable = async (limit: number) => {
    const found = await files.removable(limit)
    if (found.length < limit) setImmediate(onTurn)
    return found
  }
  const onTurn = (): void => {
    if (rig.clock.waiting().length === 0) return void setImmediate(onTurn)
    count += 1
    for (const waiter of waiting) if (waiter.count <= count) waiter.resolve()
  }
  return {
    store: { ...rig.store, files: { ...files, removable } },
    ended: (wanted: number): Promise<void> =>
      new Promise((resolve) => {
        if (count >= wanted) resolve()
        else waiting.push({ count: wanted, resolve })
      }),
  }
}
