/**
 * The line plan of an input file with several models: the indexes of its lines grouped by model, in the order of the inspection's
 * `models`, each group in input order. Absent for a file with one model: its plan is the input order. Never changed once written.
 * Byte by byte in docs/formats.md, "Line plan".
 */
import { TroubleError } from '../lib/errors.ts'

export const LINE_PLAN_HEADER_BYTES = 64
/** One entry is a line index as u32, little-endian. */
export const LINE_PLAN_ENTRY_BYTES = 4
const MAGIC = 0x4c505744 // "DWPL", little-endian
const VERSION = 1
/** Oldest program version of this format that may read the file. */
const READER_VERSION_MIN = 1

export function encodePlanHeader(facts: { lines: number; models: number }): Uint8Array {
  const header = Buffer.alloc(LINE_PLAN_HEADER_BYTES)
  header.writeUInt32LE(MAGIC, 0)
  header.writeUInt16LE(VERSION, 4)
  header.writeUInt16LE(READER_VERSION_MIN, 6)
  header.writeUInt32LE(LINE_PLAN_ENTRY_BYTES, 8)
  header.writeUInt32LE(facts.models, 12)
  header.writeDoubleLE(facts.lines, 16)
  return header
}

/** @throws TroubleError `damaged` */
export function decodePlanHeader(header: Buffer): { lines: number; models: number } {
  if (header.byteLength < LINE_PLAN_HEADER_BYTES || header.readUInt32LE(0) !== MAGIC) {
    throw new TroubleError('damaged', 'line plan has no valid header')
  }
  if (header.readUInt16LE(6) > VERSION) {
    throw new TroubleError(
      'damaged',
      `line plan needs a program that reads version ${header.readUInt16LE(6)}`,
    )
  }
  return { lines: header.readDoubleLE(16), models: header.readUInt32LE(12) }
}
