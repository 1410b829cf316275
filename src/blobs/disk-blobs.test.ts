import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { testBlobs } from './blobs-conformance.ts'
import { openDiskBlobs } from './disk-blobs.ts'

testBlobs('disk', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'dw-'))
  const blobs = openDiskBlobs({ folder: join(parent, 'blobs') })
  return {
    blobs,
    async dispose() {
      await blobs.close()
      rmSync(parent, { recursive: true })
    },
  }
})

test('what a stopped put left is removed at the next start; other writers look after their own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    writeFileSync(join(folder, 'tmp-put-1-a'), 'half')
    writeFileSync(join(folder, 'tmp-intake-file-a.data'), 'half')
    writeFileSync(join(folder, 'b'), 'whole')
    const blobs = openDiskBlobs({ folder })
    assert.deepEqual(readdirSync(folder).sort(), ['b', 'tmp-intake-file-a.data'])
    for await (const name of blobs.list()) assert.equal(name, 'b')
    await blobs.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a put whose name cannot be given leaves no temporary file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    const blobs = openDiskBlobs({ folder })
    mkdirSync(join(folder, 'taken', 'inside'), { recursive: true })
    await assert.rejects(blobs.put('taken', [Buffer.from('x')]))
    assert.deepEqual(readdirSync(folder), ['taken'])
    await blobs.put('mine', [Buffer.from('x')])
    assert.equal(statSync(join(folder, 'mine')).mode & 0o777, 0o600)
    await blobs.close()
    await assert.rejects(blobs.readInto('mine', Buffer.alloc(1), 0), /closed/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('closed blobs keep no file open', { skip: process.platform !== 'linux' && 'needs /proc' }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    const before = readdirSync('/proc/self/fd').length
    const blobs = openDiskBlobs({ folder })
    for (let place = 0; place < 150; place += 1) {
      await blobs.put(`b${place}`, [Buffer.from('x')])
      await blobs.readInto(`b${place}`, Buffer.alloc(1), 0)
    }
    assert.ok(readdirSync('/proc/self/fd').length - before <= 130)
    await blobs.close()
    assert.equal(readdirSync('/proc/self/fd').length, before)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
