/**
 * The first bytes of every binary file of ours: a magic number, the version that wrote it, the oldest reader that may use it, and
 * the size of its records. Byte by byte in docs/formats.md.
 */
import { TroubleError } from './errors.ts'

export const FORMAT_HEADER_BYTES = 64

export type Format = {
  /** For messages: "line index". */
  name: string
  /** Four bytes, little-endian. */
  magic: number
  version: number
  /** Oldest program version of this format that may read the file. */
  readerVersionMin: number
  /** Oldest file version that this program reads; only `version` itself when absent, so that no older file is taken for a new one. */
  readsFromVersion?: number
  recordBytes: number
}

/** From offset 12 on the header is the format's own. */
export function encodeFormatHeader(format: Format): Buffer {
  const header = Buffer.alloc(FORMAT_HEADER_BYTES)
  header.writeUInt32LE(format.magic, 0)
  header.writeUInt16LE(format.version, 4)
  header.writeUInt16LE(format.readerVersionMin, 6)
  header.writeUInt32LE(format.recordBytes, 8)
  return header
}

export function hasFormatHeader(header: Buffer, format: Format): boolean {
  return header.byteLength >= FORMAT_HEADER_BYTES && header.readUInt32LE(0) === format.magic
}

/** What a crash leaves of a header that was never synced: its first bytes, or none, and behind them nothing or zeros. */
export function isTornHeader(bytes: Buffer, format: Format): boolean {
  const header = bytes.subarray(0, FORMAT_HEADER_BYTES)
  const whole = encodeFormatHeader(format)
  const end = header.findIndex((byte, at) => byte !== whole[at])
  if (end === -1) return header.byteLength < FORMAT_HEADER_BYTES
  return header.subarray(end).every((byte) => byte === 0)
}

/** @throws TroubleError `damaged` when it is not that format, `unsupported` when it needs a newer program or is older than this one reads */
export function checkFormatHeader(header: Buffer, format: Format): void {
  if (!hasFormatHeader(header, format))
    throw new TroubleError('damaged', `${format.name} has no valid header`)
  const needs = header.readUInt16LE(6)
  if (needs > format.version) {
    throw new TroubleError(
      'unsupported',
      `${format.name} needs a program that reads version ${needs}; this one reads ${format.version}: use the newer dw`,
    )
  }
  const version = header.readUInt16LE(4)
  const oldest = format.readsFromVersion ?? format.version
  if (version < oldest) {
    throw new TroubleError(
      'unsupported',
      `${format.name} has version ${version}; this program reads versions from ${oldest}: use an older dw`,
    )
  }
  if (header.readUInt32LE(8) !== format.recordBytes) {
    throw new TroubleError(
      'damaged',
      `${format.name} has records of ${header.readUInt32LE(8)} bytes, not ${format.recordBytes}`,
    )
  }
}
