import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { openRig, type Rig, TENANT, withRig } from '../../test/kit/service-rig.ts'
import { RefusedError, TroubleError } from '../lib/errors.ts'
import type { Store } from '../store/store.ts'

const rig = await openRig()
after(() => rig.close())

const good = jsonl([chatLine(1), chatLine(2)])
const facts = { filename: 'questions.jsonl', purpose: 'batch', expiresAfterSeconds: null }
const wrongFormat = { message: 'Invalid file format for Batch API. Must be .jsonl', status: 400 }

const blobsOf = (rig: Rig): string[] => readdirSync(join(rig.folder, 'blobs')).sort()

async function assertEmpty(rig: Rig): Promise<void> {
  assert.deepEqual(blobsOf(rig), [])
  const page = await rig.service.listFiles(TENANT, { purpose: null, order: 'asc', after: null, limit: 10 })
  assert.deepEqual(page.items, [])
}

test('an upload is a file of its tenant alone, byte for byte', async () => {
  const file = await rig.upload(good)
  assert.match(file.id, /^file-[a-z2-7]{26}$/)
  assert.equal(file.bytes, Buffer.byteLength(good))
  assert.equal(file.inspection?.lines, 2)
  assert.equal(await rig.read(file.id), good)
  assert.deepEqual(await rig.service.getFile(TENANT, file.id), file)
  assert.equal(await rig.service.getFile('tenant_other', file.id), null)
  assert.equal(await rig.service.openContent('tenant_other', file.id), null)
  assert.equal(await rig.service.deleteFile('tenant_other', file.id), false)
})

test('what is no request file is refused at the upload in the wording of OpenAI, and nothing of it remains', async () => {
  await withRig({}, async (rig) => {
    for (const content of ['', '\n \r\n', 'custom_id,question\n1,why', '\u001f\u008b', '﻿']) {
      await assert.rejects(rig.upload(content), wrongFormat, JSON.stringify(content))
    }
    await assert.rejects(rig.upload(good, { filename: 'questions.json' }), wrongFormat)
    const upload = await rig.service.beginUpload(TENANT)
    await upload.write(Buffer.from(good))
    await assert.rejects(upload.finish({ ...facts, purpose: 'assistants' }), {
      message: "'assistants' is not one of ['batch'] - 'purpose'",
    })
    await assertEmpty(rig)
  })
})

test('bad lines do not stop an upload, not even in the first line: the batch tells them with their numbers', async () => {
  for (const content of ['{"custom_id": \n', '\n\n{nope', `[]\n${good}`, '{}']) {
    const file = await rig.upload(content)
    assert.ok((file.inspection?.findingsTotal ?? 0) > 0, content)
  }
  const marked = await rig.upload(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good)]))
  assert.equal(marked.inspection?.findings[0]?.lineNumber, 1)
})

test('the beginning of a file is found wherever the network cuts it', async () => {
  const content = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(`\r\n ${good}`)])
  const upload = await rig.service.beginUpload(TENANT)
  for (const byte of content) await upload.write(Uint8Array.of(byte))
  const file = await upload.finish(facts)
  assert.equal(file.inspection?.lines, 2)
})

test('an upload that is cut off leaves nothing and gives its place free', async () => {
  await withRig({ limits: { uploadsMax: 1 } }, async (rig) => {
    const upload = await rig.service.beginUpload(TENANT)
    await upload.write(Buffer.from(good.slice(0, 50)))
    await assert.rejects(rig.service.beginUpload(TENANT), { code: 'too_many_uploads', status: 429 })
    await upload.abort()
    await upload.abort()
    await assertEmpty(rig)
    await rig.upload(good)
    await rig.upload(good)
    await assert.rejects(rig.upload('no'), RefusedError)
    await rig.upload(good)
  })
})

test('an upload whose row is being stored keeps its bytes, whoever gives up meanwhile', async () => {
  let giveUp = async (): Promise<void> => undefined
  const wrapStore = ({ files, ...store }: Store): Store => ({
    ...store,
    files: { ...files, create: (file) => giveUp().then(() => files.create(file)) },
  })
  await withRig({ wrapStore, limits: { uploadsMax: 1 } }, async (own) => {
    const upload = await own.service.beginUpload(TENANT)
    await upload.write(Buffer.from(good))
    giveUp = () => upload.abort()
    const file = await upload.finish(facts)
    await upload.abort()
    assert.equal(await own.read(file.id), good)
    await own.service.beginUpload(TENANT)
    await assert.rejects(own.service.beginUpload(TENANT), { code: 'too_many_uploads' })
  })
})

test('below the first mark of free space an upload is refused, and one that runs is stopped', async () => {
  let free = 10
  await withRig({ freeBytes: () => free, limits: { uploadFreeBytesMin: 11 } }, async (rig) => {
    const isFull = (thrown: unknown): boolean => thrown instanceof TroubleError && thrown.code === 'disk_full'
    await assert.rejects(rig.service.beginUpload(TENANT), isFull)
    free = 11
    const upload = await rig.service.beginUpload(TENANT)
    await upload.write(Buffer.from(good))
    free = 10
    const chunk = Buffer.alloc(32 * 1024 * 1024, ' ')
    await upload.write(chunk)
    await assert.rejects(upload.write(chunk), isFull)
    await upload.abort()
    await assertEmpty(rig)
  })
})

/** The commit happens or not, as the test says, and its answer is lost. */
function losing(answers: { isStored: boolean }): (store: Store) => Store {
  return (store) => ({
    ...store,
    files: {
      ...store.files,
      async create(file) {
        if (answers.isStored) await store.files.create(file)
        throw new TroubleError('disk_failed', 'the answer of the commit was lost')
      },
    },
  })
}

test('an upload whose row was stored although the commit failed is there with its bytes', async () => {
  await withRig({ wrapStore: losing({ isStored: true }) }, async (rig) => {
    const file = await rig.upload(good)
    assert.equal(await rig.read(file.id), good)
  })
})

test('an upload whose row was not stored fails and leaves nothing', async () => {
  await withRig({ wrapStore: losing({ isStored: false }) }, async (rig) => {
    await assert.rejects(rig.upload(good), { code: 'disk_failed' })
    await assertEmpty(rig)
  })
})

test('a file is gone at the instant its time has come', async () => {
  const file = await rig.upload(good, { seconds: 3_600 })
  rig.clock.advance(3_600_000 - 1)
  assert.equal((await rig.service.getFile(TENANT, file.id))?.id, file.id)
  rig.clock.advance(1)
  assert.equal(await rig.service.getFile(TENANT, file.id), null)
  assert.equal(await rig.service.openContent(TENANT, file.id), null)
  assert.equal(await rig.service.estimateCost(TENANT, file.id, '24h'), null)
  assert.equal(await rig.service.deleteFile(TENANT, file.id), false)
})

test('the results of a live batch cannot be deleted; those of an ended one can, and its counts and analytics stay', async () => {
  const input = await rig.upload(good)
  const batch = await rig.create(input.id)
  await rig.answer(batch.id, [{ lineIndex: 0, outcome: 'succeeded' }])
  const outputId = batch.outputFileIdReserved
  await assert.rejects(rig.service.deleteFile(TENANT, outputId), { code: 'file_in_use', status: 409 })
  await rig.answer(batch.id, [{ lineIndex: 1, outcome: 'failed' }])
  await rig.end(batch.id, 'completed')

  assert.equal(await rig.service.deleteFile(TENANT, outputId), true)
  assert.equal(await rig.service.deleteFile(TENANT, outputId), false)
  assert.equal(await rig.service.openContent(TENANT, outputId), null)
  assert.equal(await rig.read(batch.errorFileIdReserved), '{"line":1}\n')
  const after = await rig.service.getBatch(TENANT, batch.id)
  assert.equal(after?.tally.completed, 1)
  assert.equal((await rig.service.analyse(TENANT, batch.id))?.requests.completed, 1)
})

test('the results of a live batch outlast a deadline that counts from its end', async () => {
  const batch = await rig.create((await rig.upload(good)).id, { outputExpiresAfterSeconds: 3_600 })
  await rig.answer(batch.id, [{ lineIndex: 0, outcome: 'succeeded' }])
  rig.clock.advance(7_200_000)
  assert.equal(await rig.read(batch.outputFileIdReserved), '{"line":0}\n')
  await rig.answer(batch.id, [{ lineIndex: 1, outcome: 'succeeded' }])
  await rig.end(batch.id, 'completed')
  rig.clock.advance(3_599_000)
  assert.equal(await rig.read(batch.outputFileIdReserved), '{"line":0}\n{"line":1}\n')
  rig.clock.advance(1_000)
  assert.equal(await rig.service.openContent(TENANT, batch.outputFileIdReserved), null)
})
