import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyTally, type Outcome, recordedLines } from '../domain/batch.ts'
import {
  decodeRecord,
  encodeRecord,
  foldRecord,
  type LineRecord,
  RECORD_BYTES,
  rebuildTally,
} from './record.ts'

const u32 = fc.nat({ max: 0xffff_ffff })
const plain = { noNullPrototype: true }
const usage = fc.record(
  { promptTokens: u32, cachedTokens: u32, completionTokens: u32, reasoningTokens: u32 },
  plain,
)
const fields = {
  lineIndex: u32,
  outcome: fc.constantFrom<Outcome>('succeeded', 'failed', 'expired', 'cancelled'),
  position: fc.maxSafeNat(),
  lineBytes: u32,
  httpStatus: fc.nat({ max: 999 }),
  attempts: fc.nat({ max: 65_535 }),
  startedAt: fc.maxSafeNat(),
  recordedAt: fc.maxSafeNat(),
  upstreamMs: u32,
  firstByteMs: u32,
  usage: fc.option(usage),
  upstreamNumber: fc.nat({ max: 255 }),
}
const records: fc.Arbitrary<LineRecord> = fc.record(fields, plain)

test('a record reads back as it was written, at any place of a buffer', () => {
  fc.assert(
    fc.property(records, fc.nat({ max: 64 }), (record, at) => {
      const buffer = Buffer.alloc(at + RECORD_BYTES)
      encodeRecord(record, buffer, at)
      assert.deepEqual(decodeRecord(buffer, at), record)
    }),
  )
})

test('any flipped bit of a record is noticed', () => {
  fc.assert(
    fc.property(records, fc.nat({ max: RECORD_BYTES * 8 - 1 }), (record, bit) => {
      const buffer = Buffer.alloc(RECORD_BYTES)
      encodeRecord(record, buffer, 0)
      buffer[bit >> 3] = (buffer[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.equal(decodeRecord(buffer, 0), null)
    }),
  )
})

test('the tally kept line by line equals the one rebuilt from all records', () => {
  fc.assert(
    fc.property(fc.array(records, { maxLength: 50 }), (all) => {
      const kept = { ...emptyTally }
      for (const record of all) foldRecord(kept, record)
      assert.deepEqual(rebuildTally(all), kept)
      assert.equal(recordedLines(kept), all.length)
      assert.equal(kept.outputLines + kept.errorLines, all.length)
    }),
  )
})
