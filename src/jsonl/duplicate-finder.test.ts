import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemDisk } from '../lib/disk.ts'
import { createDuplicateFinder, type Duplicate } from './duplicate-finder.ts'
import { inspectBytes, requestLine } from './inspect-bytes.ts'
import { HASH_RANGE, keyedHash } from './keyed-hash.ts'
import { createDiskSpill } from './spill.ts'

test('duplicates are found within a run and across spilled runs, each naming the first line', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(12), { maxLength: 60 }),
      fc.integer({ min: 1, max: 70 }),
      (ids, idsHeldMax) => {
        const text = ids.map((id) => requestLine({ custom_id: `id ${id}` })).join('\n')
        const inspected = inspectBytes(text, { idsHeldMax })
        const expected = ids.flatMap((id, place) => {
          const first = ids.indexOf(id)
          return first === place ? [] : [`${place + 1}: Line ${first + 1} has it first.`]
        })
        const found = inspected.findings
          .filter((finding) => finding.code === 'duplicate_custom_id')
          .map((finding) => `${finding.lineNumber}: ${/Line \d+ has it first\.$/.exec(finding.message)?.[0]}`)
        assert.deepEqual(found, expected)
        assert.equal(inspected.runsSpilled > 0, ids.length > idsHeldMax)
      },
    ),
    { numRuns: 200 },
  )
})

test('ids that only share a hash are no duplicates', () => {
  // Without a key of its own the hash of these two is equal; found by search over numbers.
  const [left, right] = collidingIds()
  const tokens = Buffer.from(JSON.stringify(left) + JSON.stringify(right) + JSON.stringify(right))
  const finder = createDuplicateFinder({
    key: { low: 0, high: 0 },
    spill: { append() {}, read: () => 0, close() {} },
    readBack: (target, offset) => tokens.copy(target, 0, offset, offset + target.byteLength),
  })
  const found: Duplicate[] = []
  let tokenOffset = 0
  for (const [place, id] of [left, right, right].entries()) {
    finder.add(id, { tokenOffset, tokenBytes: id.length + 2, lineNumber: place + 1 })
    tokenOffset += id.length + 2
  }
  finder.report((duplicate) => found.push(duplicate))
  assert.deepEqual(found, [{ id: right, lineNumber: 3, firstLineNumber: 2 }])
})

test('hashes spread evenly and depend on the key', () => {
  const buckets = new Uint32Array(64)
  let same = 0
  for (let place = 0; place < 64_000; place += 1) {
    const hash = keyedHash(`request-${place}`, { low: 1, high: 2 })
    assert.ok(Number.isInteger(hash) && hash >= 0 && hash < HASH_RANGE)
    const bucket = Math.floor((hash / HASH_RANGE) * 64)
    buckets[bucket] = (buckets[bucket] ?? 0) + 1
    if (hash === keyedHash(`request-${place}`, { low: 1, high: 3 })) same += 1
  }
  assert.ok(Math.min(...buckets) > 850 && Math.max(...buckets) < 1150)
  assert.equal(same, 0)
})

test('a spill makes its file with the first write and leaves nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    const spill = createDiskSpill(systemDisk, join(folder, 'spill'))
    assert.deepEqual(readdirSync(folder), [])
    spill.append(Buffer.from('abc'))
    spill.append(Buffer.from('def'))
    const target = Buffer.alloc(4)
    assert.equal(spill.read(target, 2), 4)
    assert.equal(target.toString(), 'cdef')
    spill.close()
    spill.close()
    assert.deepEqual(readdirSync(folder), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** Two ids of one hash under the key of zeros: by the birthday bound some are among half a million. */
function collidingIds(): [string, string] {
  const seen = new Map<number, string>()
  for (let place = 0; ; place += 1) {
    const id = `${place}`
    const hash = keyedHash(id, { low: 0, high: 0 })
    const other = seen.get(hash)
    if (other !== undefined) return [other, id]
    seen.set(hash, id)
  }
}
