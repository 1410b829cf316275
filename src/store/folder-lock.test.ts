import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TroubleError } from '../lib/errors.ts'
import { lockFolder } from './folder-lock.ts'

const HOLDER = `
  const { lockFolder } = await import(process.argv[1])
  lockFolder(process.argv[2])
  process.stdout.write('held')
  process.stdin.resume()
`

test('a data folder belongs to one process until that ends, even by a kill', async () => {
  const root = mkdtempSync(join(tmpdir(), 'dw-'))
  const folder = join(root, 'data')
  const url = new URL('./folder-lock.ts', import.meta.url).href
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', HOLDER, url, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    await once(holder.stdout, 'data')
    const isInUse = (thrown: unknown): boolean =>
      thrown instanceof TroubleError &&
      thrown.message.includes(folder) &&
      /stop that one/.test(thrown.message)
    assert.throws(() => lockFolder(folder), isInUse)
    const exited = once(holder, 'exit')
    holder.kill('SIGKILL')
    await exited
    const release = lockFolder(folder)
    assert.throws(() => lockFolder(folder), isInUse)
    release()
    release()
    lockFolder(folder)()
  } finally {
    holder.kill('SIGKILL')
    rmSync(root, { recursive: true })
  }
})
