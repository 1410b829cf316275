/** Makes a log look as it does to a reader that skips the checksums. */
import { crc32 } from 'node:zlib'
import {
  FRAME_HEADER_BYTES,
  frameBytes,
  LINE_FRAME_BYTES,
  SEGMENT_HEADER_BYTES,
  sealFrame,
} from '../../src/results/disk/log-format.ts'
import { RECORD_BYTES } from '../../src/results/record.ts'

/** Gives every frame, and the record in it, a checksum that holds for what it has become. Changes `bytes`. */
export function resealFrames(bytes: Buffer): void {
  for (let at = SEGMENT_HEADER_BYTES; at + FRAME_HEADER_BYTES <= bytes.byteLength; ) {
    const next = at + frameBytes(bytes, at)
    if (next > bytes.byteLength) return
    if (next - at >= LINE_FRAME_BYTES) resealRecord(bytes, at + FRAME_HEADER_BYTES)
    sealFrame(bytes, at)
    at = next
  }
}

function resealRecord(bytes: Buffer, at: number): void {
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, at + RECORD_BYTES)), at)
}
