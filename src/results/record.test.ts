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
  recordFields,
} from './record.ts'
import { scanRecords } from './record-scan.ts'

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

test('a scan of pages tells of each record what reading it alone does, and notices any flipped bit', () => {
  fc.assert(
    fc.property(fc.array(records, { minLength: 1, maxLength: 20 }), fc.nat(), (written, place) => {
      const page = Buffer.allocUnsafeSlow(written.length * RECORD_BYTES)
      for (const [number, record] of written.entries()) encodeRecord(record, page, number * RECORD_BYTES)
      const seen: LineRecord[] = []
      scanRecords(page, (record) => seen.push(structuredClone(record)))
      assert.deepEqual(seen, written)
      const fields = recordFields(page)
      for (const [number, record] of written.entries()) {
        fields.at = number * RECORD_BYTES
        assert.deepEqual(
          [fields.lineIndex(fields.at), fields.outcome, fields.httpStatus, fields.upstreamMs],
          [record.lineIndex, record.outcome, record.httpStatus, record.upstreamMs],
        )
      }
      const bit = place % (page.byteLength * 8)
      page[bit >>> 3] = (page[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
      assert.throws(() => scanRecords(page, () => undefined), /checksum does not hold/)
    }),
  )
})
