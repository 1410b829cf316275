import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSystemClock } from '../lib/clock.ts'
import { systemDisk } from '../lib/disk.ts'
import { readCheckpoint } from './disk/checkpoint.ts'
import { layoutOf } from './disk/layout.ts'
import { type DiskResultLog, openDiskResultLog } from './disk-result-log.ts'

const openLog = (folder: string): Promise<DiskResultLog> =>
  openDiskResultLog({ folder, clock: createSystemClock(), onDeath: (cause) => assert.fail(cause) })

async function recordOne(log: DiskResultLog, seq: number): Promise<void> {
  await log.open(seq, 1)
  const facts = { attempts: 1, startedAt: 1, recordedAt: 2, upstreamMs: 1, firstByteMs: 1, upstreamNumber: 0 }
  log.append(seq, { lineIndex: 0, outcome: 'succeeded', httpStatus: 200, usage: null, ...facts }, ['{}'])
  await log.seal(seq)
  log.release(seq)
}

test('what a crash left of batches that had ended is let go, and what may still get lines is kept', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'dw-'))
  t.after(() => rmSync(root, { recursive: true }))
  const [before, after] = [join(root, 'before'), join(root, 'after')]
  const log = await openLog(before)
  await recordOne(log, 1)
  await recordOne(log, 2)
  // As a crash leaves it: nothing was closed.
  cpSync(before, after, { recursive: true })
  await log.close()

  const recovered = await openLog(after)
  const known = (): number[] => [...(readCheckpoint(systemDisk, layoutOf(after))?.batches.keys() ?? [])]
  assert.deepEqual(known(), [1, 2])
  await recovered.retain(new Set([2]))
  await recovered.close()
  assert.deepEqual(known(), [2])
  const again = await openLog(after)
  assert.equal((await again.plan(1, 'output', 0)).lines, 1, 'its results stay readable')
  await again.close()
})
