/** Start of the result log: cuts what was never synced, writes again what the log has and the batches' files may not have. */
import { dirname } from 'node:path'
import type { Disk } from '../../lib/disk.ts'
import {
  checkFormatHeader,
  encodeFormatHeader,
  hasFormatHeader,
  isTornHeader,
} from '../../lib/format-header.ts'
import { RECORD_BYTES, resultFileAt } from '../record.ts'
import { BatchFiles } from './batch-files.ts'
import { readCheckpoint } from './checkpoint.ts'
import { CommitLog, replayLine } from './commit-log.ts'
import type { Layout } from './layout.ts'
import { findGroup, readFrame, SEGMENT_HEADER_BYTES, segmentFormat } from './log-format.ts'

export type Recovered = {
  log: CommitLog
  /** Batches whose synced results are damaged, with the reason. Their files were not touched. */
  damaged: Map<number, string>
  /** Why batches that the log does not name may have lost lines; null once `retain` has judged them. */
  loss: string | null
  /** Lines taken from the log. */
  lines: number
}

/** Guess: replayed lines that gather before they are written; the log is read whole, one segment at a time. */
const REPLAY_BYTES_MAX = 4 * 1024 * 1024

export function recover(disk: Disk, layout: Layout): Recovered {
  for (const folder of [layout.folder, layout.log, layout.batches])
    if (!disk.exists(folder)) disk.makeFolder(folder)
  for (const folder of [layout.folder, dirname(layout.folder)]) disk.syncFolder(folder)
  const checkpoint = readCheckpoint(disk, layout)
  const files = new BatchFiles(disk, layout)
  const damaged = new Map<number, string>()
  for (const [seq, sizes] of checkpoint?.batches ?? []) {
    const reason = files.reset(seq, sizes)
    if (reason !== null) damaged.set(seq, reason)
  }
  const segments = segmentsFrom(disk, layout, checkpoint?.firstSegment ?? 0)
  const known = new Set(checkpoint?.batches.keys())
  let lines = 0
  // A start before this one may have ended before `retain`.
  let loss = disk.exists(layout.loss) ? readWhole(disk, layout.loss).toString() : null
  for (const [place, number] of segments.entries()) {
    const isLast = place === segments.length - 1
    const replayed = replaySegment(disk, layout, { number, isLast, files, damaged, known })
    lines += replayed.lines
    loss = replayed.damage ?? loss
  }
  if (loss !== null && !disk.exists(layout.loss)) {
    writeReason(disk, layout.loss, loss)
    disk.syncFolder(layout.log)
  }
  const log = new CommitLog(disk, layout, { files, nextSegment: (segments.at(-1) ?? 0) + 1 })
  for (const [seq, reason] of damaged) {
    markDamaged(disk, layout, { seq, reason })
    // Its files stay as they are, and the log must not name it again.
    files.forget(seq)
  }
  log.checkpoint()
  for (const number of segments) disk.remove(layout.segment(number))
  return { log, damaged, loss, lines }
}

/** The log forgets what was in it; the mark keeps a later start from taking the batch for whole. */
export function markDamaged(disk: Disk, layout: Layout, damage: { seq: number; reason: string }): void {
  const path = layout.damage(damage.seq)
  if (disk.exists(path)) return
  if (!disk.exists(layout.batch(damage.seq))) disk.makeFolder(layout.batch(damage.seq))
  writeReason(disk, path, damage.reason)
  disk.syncFolder(layout.batch(damage.seq))
  disk.syncFolder(layout.batches)
}

/** Under its name it is whole: a crash leaves what is written beside it. */
function writeReason(disk: Disk, path: string, reason: string): void {
  const next = `${path}.next`
  if (disk.exists(next)) disk.remove(next)
  const file = disk.open(next, 'create')
  disk.write(file, Buffer.from(reason), 0)
  disk.syncData(file)
  disk.close(file)
  disk.rename(next, path)
}

function segmentsFrom(disk: Disk, layout: Layout, first: number): number[] {
  const all = disk
    .list(layout.log)
    .map(layout.segmentNumber)
    .filter((number): number is number => number !== null)
    .toSorted((a, b) => a - b)
  // Older ones were let go by the checkpoint; a crash came before their removal.
  for (const number of all) if (number < first) disk.remove(layout.segment(number))
  return all.filter((number) => number >= first)
}

type Segment = {
  number: number
  isLast: boolean
  files: BatchFiles
  damaged: Map<number, string>
  /** Batches met so far: one that is new is reset to nothing first. */
  known: Set<number>
}

function replaySegment(
  disk: Disk,
  layout: Layout,
  segment: Segment,
): { lines: number; damage: string | null } {
  const bytes = readWhole(disk, layout.segment(segment.number))
  // A header that was never synced whole: the crash came while the segment was made, and nothing can be in it.
  const hasHeader = hasFormatHeader(bytes, segmentFormat) && !isTornHeader(bytes, segmentFormat)
  const isUnbegun = !hasHeader && findGroup(bytes, 0) === null
  if (segment.isLast && isUnbegun) {
    cutTail(disk, layout.segment(segment.number), { bytes: 0, header: encodeFormatHeader(segmentFormat) })
    return { lines: 0, damage: null }
  }
  checkFormatHeader(bytes, segmentFormat)
  let lines = 0
  let unwritten = 0
  let at = SEGMENT_HEADER_BYTES
  /** Batches by the file that a line behind the damage stands in. */
  const seenAfterDamage = { output: new Set<number>(), error: new Set<number>() }
  let damage: string | null = null
  while (at < bytes.byteLength) {
    const frame = readFrame(bytes, at)
    if (frame === null) {
      const next = findGroup(bytes, at)
      const isSynced = !segment.isLast || (next !== null && next.syncedBytes > at)
      // Behind the last sync: the write that a crash cut short.
      if (!isSynced) break
      // What was whole behind earlier damage may have lost lines to this one.
      seenAfterDamage.output.clear()
      seenAfterDamage.error.clear()
      damage ??= `the log segment ${segment.number} is damaged at byte ${at}, in front of a sync`
      if (next === null) break
      at = next.at
      continue
    }
    if (frame.kind === 'line') {
      if (damage !== null) seenAfterDamage[resultFileAt(bytes, frame.recordAt)].add(frame.seq)
      if (replayFrame(segment, bytes, frame)) lines += 1
      unwritten += frame.end - frame.at
      if (unwritten > REPLAY_BYTES_MAX) {
        segment.files.flushAll()
        unwritten = 0
      }
    }
    at = frame.end
  }
  if (segment.isLast && at < bytes.byteLength) cutTail(disk, layout.segment(segment.number), { bytes: at })
  segment.files.flushAll()
  // A line behind the damage lies where the ones before it end, so its file has lost none. Without one it may have lost its last ones.
  if (damage !== null) {
    for (const seq of segment.known) {
      const isWhole = seenAfterDamage.output.has(seq) && seenAfterDamage.error.has(seq)
      if (!isWhole && !segment.damaged.has(seq)) segment.damaged.set(seq, damage)
    }
  }
  return { lines, damage }
}

/**
 * Cuts what was never synced, and syncs what is kept. After it the segment is whole: a crash of this recovery leaves a newer one
 * behind it, and what is torn in front of that would count as damage.
 */
function cutTail(disk: Disk, path: string, kept: { bytes: number; header?: Buffer }): void {
  const file = disk.open(path, 'write')
  disk.truncate(file, kept.bytes)
  if (kept.header !== undefined) disk.write(file, kept.header, 0)
  disk.syncData(file)
  disk.close(file)
}

/** @returns whether the line was taken. */
function replayFrame(
  segment: Segment,
  bytes: Buffer,
  frame: { seq: number; recordAt: number; payloadAt: number; end: number },
): boolean {
  const { seq } = frame
  if (segment.damaged.has(seq)) return false
  if (!segment.known.has(seq)) {
    segment.known.add(seq)
    const reason = segment.files.reset(seq, { records: 0, outputBytes: 0, errorBytes: 0 })
    if (reason !== null) {
      segment.damaged.set(seq, reason)
      return false
    }
  }
  const reason = replayLine(segment.files, {
    seq,
    record: bytes.subarray(frame.recordAt, frame.recordAt + RECORD_BYTES),
    payload: bytes.subarray(frame.payloadAt, frame.end),
  })
  if (reason !== null) segment.damaged.set(seq, reason)
  return reason === null
}

/** A segment is bounded by the checkpoint that is due at its size, so it is read in one piece. */
function readWhole(disk: Disk, path: string): Buffer {
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.allocUnsafeSlow(disk.size(file))
    disk.read(file, bytes, 0)
    return bytes
  } finally {
    disk.close(file)
  }
}
