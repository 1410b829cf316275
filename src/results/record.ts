/**
 * The record of one line: fixed size, one per recorded line, in the order in which answers became durable.
 * Everything countable about a batch is folded from these. Byte by byte in docs/formats.md, "Records".
 */
import { crc32 } from 'node:zlib'
import { emptyTally, type Outcome, type Tally } from '../domain/batch.ts'
import { unreachable } from '../lib/errors.ts'
import type { ResultFileKind } from './result-log.ts'

export const RECORD_BYTES = 80

const outcomes: readonly Outcome[] = ['succeeded', 'failed', 'expired', 'cancelled']
const USAGE_KNOWN = 1

export type LineRecord = {
  lineIndex: number
  outcome: Outcome
  /** Offset and length (newline included) of the result line in the output file (`succeeded`) or the error file (all others). */
  position: number
  lineBytes: number
  /** Status of the last answer, 0 when there was none. */
  httpStatus: number
  /** HTTP calls made for this line by the process that recorded it. */
  attempts: number
  /** Start of the first call and moment of the record, server time in ms; equal for a line that was never called. */
  startedAt: number
  recordedAt: number
  /** Of the last call: duration, and time to the first byte of the answer, ms. */
  upstreamMs: number
  firstByteMs: number
  /** Null when the answer did not state its usage. */
  usage: Usage | null
  /** Position of the upstream in the server's list at that time; 255 when none was called. */
  upstreamNumber: number
}

export type Usage = {
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  reasoningTokens: number
}

export function encodeRecord(record: LineRecord, target: Buffer, at: number): void {
  target.writeUInt32LE(record.lineIndex, at + 4)
  target.writeUInt8(outcomes.indexOf(record.outcome), at + 8)
  target.writeUInt8(record.usage === null ? 0 : USAGE_KNOWN, at + 9)
  target.writeUInt16LE(record.httpStatus, at + 10)
  target.writeDoubleLE(record.position, at + 12)
  target.writeUInt32LE(record.lineBytes, at + 20)
  target.writeUInt16LE(Math.min(record.attempts, 65_535), at + 24)
  target.writeUInt16LE(record.upstreamNumber, at + 26)
  target.writeDoubleLE(record.startedAt, at + 28)
  target.writeDoubleLE(record.recordedAt, at + 36)
  target.writeUInt32LE(record.upstreamMs, at + 44)
  target.writeUInt32LE(record.firstByteMs, at + 48)
  target.writeUInt32LE(record.usage?.promptTokens ?? 0, at + 52)
  target.writeUInt32LE(record.usage?.cachedTokens ?? 0, at + 56)
  target.writeUInt32LE(record.usage?.completionTokens ?? 0, at + 60)
  target.writeUInt32LE(record.usage?.reasoningTokens ?? 0, at + 64)
  target.fill(0, at + 68, at + RECORD_BYTES)
  target.writeUInt32LE(recordChecksum(target, at), at)
}

/** @returns null when the checksum does not hold. */
export function decodeRecord(source: Buffer, at: number): LineRecord | null {
  if (source.readUInt32LE(at) !== recordChecksum(source, at)) return null
  const isUsageKnown = (source.readUInt8(at + 9) & USAGE_KNOWN) !== 0
  return {
    lineIndex: source.readUInt32LE(at + 4),
    outcome: outcomes[source.readUInt8(at + 8)] ?? 'failed',
    httpStatus: source.readUInt16LE(at + 10),
    position: source.readDoubleLE(at + 12),
    lineBytes: source.readUInt32LE(at + 20),
    attempts: source.readUInt16LE(at + 24),
    upstreamNumber: source.readUInt16LE(at + 26),
    startedAt: source.readDoubleLE(at + 28),
    recordedAt: source.readDoubleLE(at + 36),
    upstreamMs: source.readUInt32LE(at + 44),
    firstByteMs: source.readUInt32LE(at + 48),
    usage: isUsageKnown
      ? {
          promptTokens: source.readUInt32LE(at + 52),
          cachedTokens: source.readUInt32LE(at + 56),
          completionTokens: source.readUInt32LE(at + 60),
          reasoningTokens: source.readUInt32LE(at + 64),
        }
      : null,
  }
}

/** As `decodeRecord`, into objects that are there already; the checksum is the caller's to check. */
export function fillRecord(view: DataView, at: number, into: { record: LineRecord; usage: Usage }): void {
  const { record, usage } = into
  record.lineIndex = view.getUint32(at + 4, true)
  record.outcome = outcomes[view.getUint8(at + 8)] ?? 'failed'
  record.httpStatus = view.getUint16(at + 10, true)
  record.position = view.getFloat64(at + 12, true)
  record.lineBytes = view.getUint32(at + 20, true)
  record.attempts = view.getUint16(at + 24, true)
  record.upstreamNumber = view.getUint16(at + 26, true)
  record.startedAt = view.getFloat64(at + 28, true)
  record.recordedAt = view.getFloat64(at + 36, true)
  record.upstreamMs = view.getUint32(at + 44, true)
  record.firstByteMs = view.getUint32(at + 48, true)
  usage.promptTokens = view.getUint32(at + 52, true)
  usage.cachedTokens = view.getUint32(at + 56, true)
  usage.completionTokens = view.getUint32(at + 60, true)
  usage.reasoningTokens = view.getUint32(at + 64, true)
  record.usage = (view.getUint8(at + 9) & USAGE_KNOWN) === 0 ? null : usage
}

/** What a search looks at, read where it stands: `at` is the record looked at. */
export type RecordFields = {
  at: number
  lineIndex(at: number): number
  readonly outcome: Outcome
  readonly httpStatus: number
  readonly upstreamMs: number
}

export function recordFields(page: Uint8Array): RecordFields {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
  return {
    at: 0,
    lineIndex: (at) => view.getUint32(at + 4, true),
    get outcome() {
      return outcomes[view.getUint8(this.at + 8)] ?? 'failed'
    },
    get httpStatus() {
      return view.getUint16(this.at + 10, true)
    },
    get upstreamMs() {
      return view.getUint32(this.at + 44, true)
    },
  }
}

/** The file that the record's line stands in. */
export function resultFileAt(source: Buffer, at: number): ResultFileKind {
  return source.readUInt8(at + 8) === outcomes.indexOf('succeeded') ? 'output' : 'error'
}

function recordChecksum(bytes: Buffer, at: number): number {
  return crc32(bytes.subarray(at + 4, at + RECORD_BYTES))
}

/** The tally after one more record. Changes `tally` in place: it is folded once per answer. */
export function foldRecord(tally: Tally, record: LineRecord): void {
  switch (record.outcome) {
    case 'succeeded':
      tally.completed += 1
      break
    case 'failed':
      tally.failed += 1
      break
    case 'expired':
      tally.expired += 1
      break
    case 'cancelled':
      tally.cancelled += 1
      break
    default:
      unreachable(record.outcome)
  }
  if (record.outcome === 'succeeded') {
    tally.outputLines += 1
    tally.outputBytes += record.lineBytes
  } else {
    tally.errorLines += 1
    tally.errorBytes += record.lineBytes
  }
  if (record.usage === null) {
    if (record.outcome === 'succeeded') tally.usageUnknown += 1
    return
  }
  tally.promptTokens += record.usage.promptTokens
  tally.cachedTokens += record.usage.cachedTokens
  tally.completionTokens += record.usage.completionTokens
  tally.reasoningTokens += record.usage.reasoningTokens
}

/** Adds in place. */
export function addTally(sum: Tally, more: Tally): void {
  // The keys of a constant are its names.
  for (const name of Object.keys(emptyTally) as (keyof Tally)[]) sum[name] += more[name]
}

export function rebuildTally(records: Iterable<LineRecord>): Tally {
  const tally = { ...emptyTally }
  for (const record of records) foldRecord(tally, record)
  return tally
}
