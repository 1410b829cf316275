/**
 * The line plan of an input file with several models: the indexes of its lines grouped by model, in the order of the inspection's
 * `models`, each group in input order. Absent for a file with one model: its plan is the input order. Never changed once written.
 * Byte by byte in docs/formats.md, "Line plan".
 */
import {
  checkFormatHeader,
  encodeFormatHeader,
  FORMAT_HEADER_BYTES,
  type Format,
} from '../lib/format-header.ts'

export const LINE_PLAN_HEADER_BYTES = FORMAT_HEADER_BYTES
/** One entry is a line index as u32, little-endian. */
export const LINE_PLAN_ENTRY_BYTES = 4
const FORMAT: Format = {
  name: 'line plan',
  magic: 0x4c505744, // "DWPL"
  version: 1,
  readerVersionMin: 1,
  recordBytes: LINE_PLAN_ENTRY_BYTES,
}

export function encodePlanHeader(facts: { lines: number; models: number }): Uint8Array {
  const header = encodeFormatHeader(FORMAT)
  header.writeUInt32LE(facts.models, 12)
  header.writeDoubleLE(facts.lines, 16)
  return header
}

/** @throws TroubleError `damaged` */
export function decodePlanHeader(header: Buffer): { lines: number; models: number } {
  checkFormatHeader(header, FORMAT)
  return { lines: header.readDoubleLE(16), models: header.readUInt32LE(12) }
}
