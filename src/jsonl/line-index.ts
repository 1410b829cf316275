/**
 * The line index of an input file: one fixed-size entry per request line, written while the upload streams in, never changed.
 * Blank lines have no entry. Byte by byte in docs/formats.md, "Line index".
 */
import {
  checkFormatHeader,
  encodeFormatHeader,
  FORMAT_HEADER_BYTES,
  type Format,
} from '../lib/format-header.ts'

export const INDEX_HEADER_BYTES = FORMAT_HEADER_BYTES
export const INDEX_ENTRY_BYTES = 64
const FORMAT: Format = {
  name: 'line index',
  magic: 0x58495744, // "DWIX"
  version: 1,
  readerVersionMin: 1,
  recordBytes: INDEX_ENTRY_BYTES,
}

/** Offsets are bytes. `bodyStart`, `customIdStart` and `modelStart` count from the line's first byte. */
export type IndexEntry = {
  lineOffset: number
  lineBytes: number
  bodyStart: number
  bodyBytes: number
  /** Span of the JSON string token, quotes included. */
  customIdStart: number
  customIdBytes: number
  /** Physical line, counted from 1. */
  lineNumber: number
  /** Position in the inspection's `models`. */
  modelNumber: number
  /** Position in the inspection's `endpoints`. */
  endpointNumber: number
  /** Span of the model's JSON string token inside the line, quotes included; lets an alias be spliced. */
  modelStart: number
  modelBytes: number
  /** Bytes of prompt text / 4, until a tokeniser has counted. */
  promptTokensEstimate: number
}

export function encodeIndexHeader(lines: number): Uint8Array {
  const header = encodeFormatHeader(FORMAT)
  header.writeDoubleLE(lines, 16)
  return header
}

/** @returns the number of entries. @throws TroubleError `damaged` */
export function decodeIndexHeader(header: Buffer): number {
  checkFormatHeader(header, FORMAT)
  return header.readDoubleLE(16)
}

export function encodeIndexEntry(entry: IndexEntry, target: Buffer, at: number): void {
  target.writeDoubleLE(entry.lineOffset, at)
  target.writeUInt32LE(entry.lineBytes, at + 8)
  target.writeUInt32LE(entry.bodyStart, at + 12)
  target.writeUInt32LE(entry.bodyBytes, at + 16)
  target.writeUInt32LE(entry.customIdStart, at + 20)
  target.writeUInt32LE(entry.customIdBytes, at + 24)
  target.writeUInt32LE(entry.lineNumber, at + 28)
  target.writeUInt16LE(entry.modelNumber, at + 32)
  target.writeUInt16LE(entry.endpointNumber, at + 34)
  target.writeUInt32LE(entry.modelStart, at + 36)
  target.writeUInt32LE(entry.modelBytes, at + 40)
  target.writeUInt32LE(entry.promptTokensEstimate, at + 44)
  // Room for a 64-bit hash of the prompt's prefix and a 64-bit reserve.
  target.fill(0, at + 48, at + INDEX_ENTRY_BYTES)
}

/** The entry's `modelNumber` alone. */
export function modelNumberAt(source: Buffer, at: number): number {
  return source.readUInt16LE(at + 32)
}

export function decodeIndexEntry(source: Buffer, at: number): IndexEntry {
  return {
    lineOffset: source.readDoubleLE(at),
    lineBytes: source.readUInt32LE(at + 8),
    bodyStart: source.readUInt32LE(at + 12),
    bodyBytes: source.readUInt32LE(at + 16),
    customIdStart: source.readUInt32LE(at + 20),
    customIdBytes: source.readUInt32LE(at + 24),
    lineNumber: source.readUInt32LE(at + 28),
    modelNumber: source.readUInt16LE(at + 32),
    endpointNumber: source.readUInt16LE(at + 34),
    modelStart: source.readUInt32LE(at + 36),
    modelBytes: source.readUInt32LE(at + 40),
    promptTokensEstimate: source.readUInt32LE(at + 44),
  }
}
