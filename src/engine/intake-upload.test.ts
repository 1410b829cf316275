import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { requestLine } from '../jsonl/inspect-bytes.ts'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { TroubleError } from '../lib/errors.ts'
import { UploadInWorker } from './intake-upload.ts'

/** Calls that can fail for want of room or because the disk breaks. */
const failing = ['open', 'write', 'syncData', 'rename', 'syncFolder'] as const

/** The real disk, whose call number `failAt` throws instead of acting. */
function createFailingDisk(failAt: number): { disk: Disk; calls: () => number; failed: () => string | null } {
  let calls = 0
  let failed: string | null = null
  const disk = { ...systemDisk }
  for (const name of failing) {
    const act = systemDisk[name] as (...values: unknown[]) => unknown
    const guarded = (...values: unknown[]): unknown => {
      calls += 1
      if (calls !== failAt) return act(...values)
      failed = name
      throw new TroubleError('disk_full', `no space left for ${name}`)
    }
    // The wrapper passes its arguments on as they come.
    Object.assign(disk, { [name]: guarded })
  }
  return { disk, calls: () => calls, failed: () => failed }
}

/** An upload with every kind of blob that fits together: `findings` and `plan` exclude each other. */
function runUpload(options: { disk: Disk; folder: string; content: Buffer; syncFailures: unknown[] }): void {
  const upload = new UploadInWorker({
    disk: options.disk,
    folder: options.folder,
    fileId: 'file-a',
    seed: new Uint8Array(8),
    limits: { lineBytesMax: 1_000_000, fileLinesMax: 1_000_000 },
    onSyncFailure: (thrown) => options.syncFailures.push(thrown),
  })
  try {
    for (let at = 0; at < options.content.byteLength; at += 100_000) {
      upload.write(options.content.subarray(at, at + 100_000))
    }
    upload.finish()
  } catch (thrown) {
    upload.abort()
    throw thrown
  }
}

const withPlan = Array.from({ length: 3000 }, (_, place) =>
  requestLine({ custom_id: `${place}` }, { model: `m${place % 3}` }),
)
const contents = { plan: withPlan, findings: [...withPlan, 'nope', requestLine({ custom_id: '1' })] }

for (const [kind, lines] of Object.entries(contents)) {
  test(`wherever the disk fails, an upload with ${kind} leaves nothing`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'dw-'))
    const content = Buffer.from(lines.join('\n'))
    const failed = new Set<string>()
    try {
      for (let failAt = 1; failAt < 100; failAt += 1) {
        const { disk, calls, failed: failedCall } = createFailingDisk(failAt)
        const syncFailures: unknown[] = []
        try {
          runUpload({ disk, folder, content, syncFailures })
        } catch (thrown) {
          assert.ok(thrown instanceof TroubleError && thrown.code === 'disk_full')
          failed.add(failedCall() ?? 'none')
          assert.equal(syncFailures.length, failedCall()?.startsWith('sync') ? 1 : 0)
          assert.deepEqual(readdirSync(folder), [], `after call ${failAt}`)
          continue
        }
        assert.ok(calls() < failAt)
        assert.deepEqual(readdirSync(folder).sort(), ['file-a.data', `file-a.${kind}`, 'file-a.index'].sort())
        break
      }
      assert.deepEqual([...failed].sort(), [...failing].sort())
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}
