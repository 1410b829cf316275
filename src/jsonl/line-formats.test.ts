import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TroubleError } from '../lib/errors.ts'
import {
  decodeIndexEntry,
  decodeIndexHeader,
  encodeIndexEntry,
  encodeIndexHeader,
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  modelNumberAt,
} from './line-index.ts'
import { decodePlanHeader, encodePlanHeader } from './line-plan.ts'

const isDamage = (thrown: unknown): boolean => thrown instanceof TroubleError && thrown.code === 'damaged'

test('an index entry reads back as it was written, at the edges of its fields', () => {
  const entry: IndexEntry = {
    lineOffset: 2 ** 52 + 1,
    lineBytes: 2 ** 32 - 1,
    bodyStart: 1,
    bodyBytes: 2,
    customIdStart: 3,
    customIdBytes: 4,
    lineNumber: 2 ** 32 - 1,
    modelNumber: 65_535,
    endpointNumber: 5,
    modelStart: 6,
    modelBytes: 7,
    promptTokensEstimate: 2 ** 32 - 1,
  }
  const bytes = Buffer.alloc(2 * INDEX_ENTRY_BYTES, 0xff)
  encodeIndexEntry(entry, bytes, INDEX_ENTRY_BYTES)
  assert.deepEqual(decodeIndexEntry(bytes, INDEX_ENTRY_BYTES), entry)
  assert.equal(modelNumberAt(bytes, INDEX_ENTRY_BYTES), 65_535)
})

test('headers read back; foreign and short ones are damage, too new ones need a newer program', () => {
  const formats = [
    { header: encodeIndexHeader(2 ** 40), decode: decodeIndexHeader, facts: 2 ** 40 },
    {
      header: encodePlanHeader({ lines: 2 ** 32, models: 9 }),
      decode: decodePlanHeader,
      facts: { lines: 2 ** 32, models: 9 },
    },
  ]
  for (const { header, decode, facts } of formats) {
    const bytes = Buffer.from(header)
    assert.deepEqual(decode(bytes), facts)
    assert.throws(() => decode(bytes.subarray(0, 63)), isDamage)
    assert.throws(() => decode(Buffer.from(header).fill(0, 0, 4)), isDamage)
    assert.throws(() => decode(Buffer.from(header).fill(9, 6, 7)), { code: 'unsupported' })
  }
})
