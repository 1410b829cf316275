/**
 * The commit log: the one file into which the answers of all batches are appended, and behind it the batches' own files.
 * Synchronous, on an injected disk; it runs in the log thread.
 *
 * Invariants
 * - What `append` returned for is synced in the log. Only then it is given to the batches' files.
 * - A segment is removed only when everything in it is synced in the batches' files and a synced checkpoint says so. Appends go on
 *   while that is done, a few files at a time: in the next segment, of which the checkpoint says nothing.
 * - Nothing in front of a sync is ever cut: damage there is reported for the batches concerned.
 * A crash leaves a tail of the last segment that was never synced (cut at recovery) and bytes in the batches' files behind the
 * checkpointed sizes (cut and written again from the log).
 */
import type { Disk, FileHandle } from '../../lib/disk.ts'
import { assert, TroubleError } from '../../lib/errors.ts'
import { encodeFormatHeader } from '../../lib/format-header.ts'
import { decodeRecord, RECORD_BYTES, resultFileAt } from '../record.ts'
import type { BatchFiles, Unsynced } from './batch-files.ts'
import { type Checkpoint, writeCheckpoint } from './checkpoint.ts'
import type { Layout } from './layout.ts'
import {
  encodeGroup,
  frameBytes,
  GROUP_FRAME_BYTES,
  LINE_FRAME_BYTES,
  SEGMENT_HEADER_BYTES,
  sealFrame,
  segmentFormat,
} from './log-format.ts'

/** Guess: a checkpoint is due when the segment has grown to this. Bounds the log that a recovery reads. */
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024
/** Given up on a full disk, so that answers in flight can still be written. */
export const BALLAST_BYTES = 16 * 1024 * 1024
const BALLAST_BLOCK_BYTES = 1024 * 1024
/** Guess: batches whose files are synced in one go; an answer that comes meanwhile waits for that long. */
const SYNCED_AT_ONCE = 3

/** A checkpoint on its way: sizes as they were when its segment began. */
type Pending = Checkpoint & { unsynced: Unsynced[]; areFoldersNew: boolean; forget: readonly number[] }

export class CommitLog {
  readonly files: BatchFiles
  readonly #disk: Disk
  readonly #layout: Layout
  #segment: number
  #file: FileHandle
  #bytes: number
  #syncedBytes: number
  #firstSegment: number
  #hasBallast = false
  /** Bytes of a chunk that a full disk did not take whole may lie behind the last sync. */
  #isTailTorn = false
  #pending: Pending | null = null
  /** Batches that get no more lines: the next checkpoint lets go of them. */
  readonly #sealed = new Set<number>()

  /** @param state after recovery: the segment to begin, and files reset to what they hold. */
  constructor(disk: Disk, layout: Layout, state: { files: BatchFiles; nextSegment: number }) {
    this.#disk = disk
    this.#layout = layout
    this.files = state.files
    this.#segment = state.nextSegment
    this.#firstSegment = state.nextSegment
    this.#file = this.#createSegment(state.nextSegment)
    this.#bytes = this.#syncedBytes = SEGMENT_HEADER_BYTES
    this.restoreBallast()
  }

  get isCheckpointDue(): boolean {
    return this.#bytes > SEGMENT_BYTES_MAX
  }

  get isCheckpointing(): boolean {
    return this.#pending !== null
  }

  /** The batch gets no more lines. */
  seal(seq: number): void {
    this.#sealed.add(seq)
  }

  /**
   * Appends whole line frames and syncs them. @param chunk room for a group frame, then frames as `encodeLineHeader` made them,
   * without checksums; it may be used again afterwards.
   * @throws TroubleError `disk_full`: nothing of the chunk counts; append it again later. Any other failure of the sync is fatal.
   */
  append(chunk: Buffer): void {
    encodeGroup(chunk, 0, this.#syncedBytes)
    for (let at = GROUP_FRAME_BYTES; at < chunk.byteLength; at += frameBytes(chunk, at)) sealFrame(chunk, at)
    this.#isTailTorn = true
    this.#writeWithBallast(chunk)
    this.#disk.syncData(this.#file)
    this.#isTailTorn = false
    this.#bytes += chunk.byteLength
    this.#syncedBytes = this.#bytes
    foldChunk(this.files, chunk)
  }

  /** Writes lines beyond the bounds to the batches' files. A full disk leaves them gathered: the log has them. */
  tidy(): void {
    try {
      this.files.flushLarge()
    } catch (thrown) {
      if (!(thrown instanceof TroubleError) || thrown.code !== 'disk_full') throw thrown
    }
  }

  /** Syncs the batches' files, then lets go of the log behind them: all of it at once. */
  checkpoint(): void {
    this.#finishCheckpoint()
    this.beginCheckpoint()
    this.#finishCheckpoint()
  }

  /**
   * Appends go to a new segment from here on; `continueCheckpoint` lets go of the ones before it.
   * @throws TroubleError `disk_full`: nothing has begun
   */
  beginCheckpoint(): void {
    assert(this.#pending === null, 'one checkpoint at a time')
    this.files.flushAll()
    this.#cutTornTail()
    const firstSegment = this.#segment + 1
    const file = this.#createSegment(firstSegment)
    this.#disk.close(this.#file)
    this.#segment = firstSegment
    this.#file = file
    this.#bytes = this.#syncedBytes = SEGMENT_HEADER_BYTES
    const forget = [...this.#sealed]
    this.#sealed.clear()
    const batches = this.files.all()
    for (const seq of forget) batches.delete(seq)
    this.#pending = { firstSegment, batches, unsynced: this.files.takeDirty(), areFoldersNew: false, forget }
  }

  /**
   * Does a short piece of the work. `isCheckpointing` tells whether there is more.
   * @throws TroubleError `disk_full`: call it again later
   */
  continueCheckpoint(): void {
    const pending = this.#pending
    if (pending === null) return
    for (let count = 0; count < SYNCED_AT_ONCE; count += 1) {
      const next = pending.unsynced.pop()
      if (next === undefined) return this.#endCheckpoint(pending)
      this.files.sync(next)
      pending.areFoldersNew ||= next.isFolderNew
    }
  }

  #finishCheckpoint(): void {
    while (this.isCheckpointing) this.continueCheckpoint()
  }

  #endCheckpoint({ firstSegment, batches, areFoldersNew, forget }: Pending): void {
    if (areFoldersNew) this.files.syncFolders()
    writeCheckpoint(this.#disk, this.#layout, { firstSegment, batches })
    for (const seq of forget) this.files.forget(seq)
    const oldest = this.#firstSegment
    this.#firstSegment = firstSegment
    this.#pending = null
    for (let number = oldest; number < firstSegment; number += 1)
      this.#disk.remove(this.#layout.segment(number))
  }

  /** With a segment behind it, what is torn in this one would count as damage. */
  #cutTornTail(): void {
    if (!this.#isTailTorn) return
    this.#disk.truncate(this.#file, this.#bytes)
    this.#disk.syncData(this.#file)
    this.#isTailTorn = false
  }

  /** Makes the ballast again when there is room for it. */
  restoreBallast(): void {
    const path = this.#layout.ballast
    if (this.#hasBallast) return
    try {
      if (this.#disk.exists(path)) this.#disk.remove(path)
      if (this.#disk.bytesFree(this.#layout.folder) < 2 * BALLAST_BYTES) return
      const file = this.#disk.open(path, 'create')
      const block = Buffer.alloc(BALLAST_BLOCK_BYTES, 1)
      for (let at = 0; at < BALLAST_BYTES; at += block.byteLength) this.#disk.write(file, block, at)
      this.#disk.close(file)
      this.#hasBallast = true
    } catch (thrown) {
      // Without room for it there is no ballast; it is tried again after the next success.
      if (!(thrown instanceof TroubleError)) throw thrown
    }
  }

  close(): void {
    this.files.close()
    this.#disk.close(this.#file)
  }

  #writeWithBallast(chunk: Buffer): void {
    try {
      this.#disk.write(this.#file, chunk, this.#bytes)
    } catch (thrown) {
      if (!(thrown instanceof TroubleError) || thrown.code !== 'disk_full' || !this.#hasBallast) throw thrown
      this.#disk.remove(this.#layout.ballast)
      this.#hasBallast = false
      this.#disk.write(this.#file, chunk, this.#bytes)
    }
  }

  #createSegment(number: number): FileHandle {
    const path = this.#layout.segment(number)
    if (this.#disk.exists(path)) this.#disk.remove(path)
    const file = this.#disk.open(path, 'create')
    this.#disk.write(file, encodeFormatHeader(segmentFormat), 0)
    this.#disk.syncData(file)
    this.#disk.syncFolder(this.#layout.log)
    return file
  }
}

/** Gives a synced chunk's lines to the batches' files. */
function foldChunk(files: BatchFiles, chunk: Buffer): void {
  for (let at = GROUP_FRAME_BYTES; at < chunk.byteLength; ) {
    const end = at + frameBytes(chunk, at)
    const recordAt = at + LINE_FRAME_BYTES - RECORD_BYTES
    const kind = resultFileAt(chunk, recordAt)
    files.append(
      chunk.readDoubleLE(at + 16),
      kind,
      chunk.subarray(recordAt, recordAt + RECORD_BYTES),
      chunk.subarray(at + LINE_FRAME_BYTES, end),
    )
    at = end
  }
}

/** Gives one recovered line to the batches' files. @returns a reason when it does not continue what the batch has */
export function replayLine(
  files: BatchFiles,
  line: { seq: number; record: Buffer; payload: Buffer },
): string | null {
  const record = decodeRecord(line.record, 0)
  assert(record !== null, 'a frame whose checksum holds has a valid record')
  const sizes = files.sizes(line.seq)
  const kind = record.outcome === 'succeeded' ? 'output' : 'error'
  const expected = kind === 'output' ? sizes.outputBytes : sizes.errorBytes
  if (record.position !== expected) {
    return `line ${record.lineIndex} lies at ${record.position} of the ${kind} file, which has ${expected} bytes: answers before it are lost`
  }
  files.append(line.seq, kind, line.record, line.payload)
  return null
}
