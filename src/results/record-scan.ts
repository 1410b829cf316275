/**
 * Goes through pages of records without an object for each: what is folded from a million of them is told before anyone notices.
 * Checksums are computed here, a word at a time, because a native call for 76 bytes costs more than its sum.
 */
import { TroubleError } from '../lib/errors.ts'
import { fillRecord, type LineRecord, RECORD_BYTES } from './record.ts'

const POLYNOMIAL = 0xedb88320
const [table0, table1, table2, table3] = makeTables()

/**
 * @param page whole records, from the start of its memory on
 * @param visit gets the same object every time: what it keeps, it copies
 * @throws TroubleError `damaged` when a checksum does not hold
 */
export function scanRecords(page: Uint8Array, visit: (record: LineRecord, at: number) => void): void {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
  const record = emptyRecord()
  const usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 }
  for (let at = 0; at < page.byteLength; at += RECORD_BYTES) {
    if (view.getUint32(at, true) !== checksumOf(view, at)) {
      throw new TroubleError('damaged', 'a record is damaged: its checksum does not hold')
    }
    fillRecord(view, at, { record, usage })
    visit(record, at)
  }
}

/** CRC-32 of a record behind its checksum, as `zlib.crc32` has it. */
function checksumOf(view: DataView, at: number): number {
  let sum = -1
  for (let place = at + 4; place < at + RECORD_BYTES; place += 4) {
    const word = sum ^ view.getUint32(place, true)
    // A byte is always a place of a table of 256.
    sum =
      (table3[word & 255] as number) ^
      (table2[(word >>> 8) & 255] as number) ^
      (table1[(word >>> 16) & 255] as number) ^
      (table0[word >>> 24] as number)
  }
  return (sum ^ -1) >>> 0
}

/** Table n holds what a byte does to the checksum with n more bytes behind it. */
function makeTables(): [Int32Array, Int32Array, Int32Array, Int32Array] {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte
    for (let bit = 0; bit < 8; bit += 1) sum = (sum & 1) === 1 ? POLYNOMIAL ^ (sum >>> 1) : sum >>> 1
    return sum
  })
  const next = (table: Int32Array): Int32Array => table.map((sum) => (sum >>> 8) ^ (first[sum & 255] ?? 0))
  const second = next(first)
  const third = next(second)
  return [first, second, third, next(third)]
}

function emptyRecord(): LineRecord {
  return {
    lineIndex: 0,
    outcome: 'failed',
    position: 0,
    lineBytes: 0,
    httpStatus: 0,
    attempts: 0,
    startedAt: 0,
    recordedAt: 0,
    upstreamMs: 0,
    firstByteMs: 0,
    usage: null,
    upstreamNumber: 0,
  }
}
