/** Frames of the commit log. Byte by byte in docs/formats.md, "Commit log". */
import { crc32 } from 'node:zlib'
import { FORMAT_HEADER_BYTES, type Format } from '../../lib/format-header.ts'
import { RECORD_BYTES } from '../record.ts'

export const SEGMENT_HEADER_BYTES = FORMAT_HEADER_BYTES
export const FRAME_HEADER_BYTES = 24
/** Header and record in front of a line frame's payload. */
export const LINE_FRAME_BYTES = FRAME_HEADER_BYTES + RECORD_BYTES
/** A group frame begins each write: it says how much of the segment was synced before it. */
export const GROUP_FRAME_BYTES = FRAME_HEADER_BYTES + 8

export const KIND_LINE = 1
export const KIND_GROUP = 2

export const segmentFormat: Format = {
  name: 'segment of the result log',
  magic: 0x474c5744, // "DWLG"
  version: 1,
  readerVersionMin: 1,
  recordBytes: RECORD_BYTES,
}

const GROUP_MAGIC = Buffer.from('dw-group')
/** The only epoch of a server that holds every batch itself. */
const EPOCH = 1

/** Writes the header of a line frame; the record and `payloadBytes` of payload follow it. The checksum is set by `sealFrame`. */
export function encodeLineHeader(
  target: Buffer,
  at: number,
  frame: { seq: number; payloadBytes: number },
): void {
  target.writeUInt32LE(RECORD_BYTES + frame.payloadBytes, at)
  target.writeUInt8(KIND_LINE, at + 8)
  target.fill(0, at + 9, at + 12)
  target.writeUInt32LE(EPOCH, at + 12)
  target.writeDoubleLE(frame.seq, at + 16)
}

export function encodeGroup(target: Buffer, at: number, syncedBytes: number): void {
  target.writeUInt32LE(GROUP_MAGIC.byteLength, at)
  target.writeUInt8(KIND_GROUP, at + 8)
  target.fill(0, at + 9, at + 12)
  target.writeUInt32LE(EPOCH, at + 12)
  target.writeDoubleLE(syncedBytes, at + 16)
  GROUP_MAGIC.copy(target, at + FRAME_HEADER_BYTES)
  sealFrame(target, at)
}

export function frameBytes(source: Buffer, at: number): number {
  return FRAME_HEADER_BYTES + source.readUInt32LE(at)
}

export function sealFrame(target: Buffer, at: number): void {
  target.writeUInt32LE(frameChecksum(target, at), at + 4)
}

export type Frame =
  | { kind: 'line'; seq: number; at: number; recordAt: number; payloadAt: number; end: number }
  | { kind: 'group'; syncedBytes: number; at: number; end: number }

/** @returns null when no whole, valid frame begins at `at`. */
export function readFrame(source: Buffer, at: number): Frame | null {
  if (at + FRAME_HEADER_BYTES > source.byteLength) return null
  const end = at + frameBytes(source, at)
  if (end > source.byteLength) return null
  const kind = source.readUInt8(at + 8)
  if (source.readUInt32LE(at + 4) !== frameChecksum(source, at)) return null
  if (kind === KIND_GROUP && end - at === GROUP_FRAME_BYTES) {
    return { kind: 'group', syncedBytes: source.readDoubleLE(at + 16), at, end }
  }
  if (kind !== KIND_LINE || end - at < LINE_FRAME_BYTES) return null
  return {
    kind: 'line',
    seq: source.readDoubleLE(at + 16),
    at,
    recordAt: at + FRAME_HEADER_BYTES,
    payloadAt: at + LINE_FRAME_BYTES,
    end,
  }
}

/** First valid group frame behind `from`, for telling an unsynced tail from damage in front of a sync. */
export function findGroup(source: Buffer, from: number): Extract<Frame, { kind: 'group' }> | null {
  for (
    let found = source.indexOf(GROUP_MAGIC, from);
    found !== -1;
    found = source.indexOf(GROUP_MAGIC, found + 1)
  ) {
    const at = found - FRAME_HEADER_BYTES
    const frame = at >= from ? readFrame(source, at) : null
    if (frame?.kind === 'group') return frame
  }
  return null
}

function frameChecksum(bytes: Buffer, at: number): number {
  return crc32(bytes.subarray(at + 8, at + frameBytes(bytes, at)))
}
