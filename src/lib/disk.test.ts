import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemDisk } from './disk.ts'
import { TroubleError } from './errors.ts'

test('a file that cannot be opened is trouble of the disk in every mode', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'loop')
  symlinkSync(path, path)
  for (const mode of ['read', 'write', 'create', 'upsert'] as const)
    assert.throws(() => systemDisk.open(path, mode), TroubleError, mode)
})
