import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAsyncFiles } from './async-file.ts'

test('a file that another thread removed is let go of, so that its bytes become free', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const files = createAsyncFiles()
  t.after(async () => {
    await files.close()
    rmSync(folder, { recursive: true })
  })
  const path = join(folder, 'answers')
  writeFileSync(path, 'abc')
  const target = Buffer.alloc(3)
  assert.equal(await files.read(path, target, 0), 3)
  unlinkSync(path)
  assert.equal(await files.read(path, target, 0), 3, 'the open file is still there to read')
  await files.drop(path)
  await assert.rejects(files.read(path, target, 0), { code: 'damaged' })
})
