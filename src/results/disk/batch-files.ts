/**
 * The three files of each batch behind the log: output lines, error lines, records. Appends gather in memory and are written
 * in larger pieces; a file is synced only by a checkpoint. Whatever a crash leaves in them behind the checkpointed sizes is
 * cut and written again from the log.
 */
import type { Disk, FileHandle } from '../../lib/disk.ts'
import { encodeFormatHeader, FORMAT_HEADER_BYTES, type Format } from '../../lib/format-header.ts'
import { RECORD_BYTES } from '../record.ts'
import type { ResultFileKind } from '../result-log.ts'
import type { SyncedSizes } from './checkpoint.ts'
import type { Layout } from './layout.ts'

export const RECORDS_HEADER_BYTES = FORMAT_HEADER_BYTES
export const recordsFormat: Format = {
  name: 'file of records',
  magic: 0x43525744, // "DWRC"
  version: 1,
  readerVersionMin: 1,
  recordBytes: RECORD_BYTES,
}

/** Guess: a batch's gathered lines are written when they exceed this … */
const PENDING_BYTES_MAX = 64 * 1024
/** … and those of all batches when their sum exceeds this. */
const PENDING_TOTAL_BYTES_MAX = 8 * 1024 * 1024
/** Guess: batches whose three files stay open. */
const OPEN_BATCHES_MAX = 128

type Part = 'records' | ResultFileKind
const PARTS: readonly Part[] = ['records', 'output', 'error']

/** What a checkpoint must sync of one batch. */
export type Unsynced = { seq: number; parts: readonly Part[]; isFolderNew: boolean }

type BatchState = {
  seq: number
  /** Bytes written and gathered, header of the records left out. */
  sizes: Record<Part, number>
  pending: Record<Part, Uint8Array[]>
  pendingBytes: number
  /** Written since the last sync. */
  dirty: Set<Part>
  handles: Partial<Record<Part, FileHandle>>
  isFolderNew: boolean
}

export class BatchFiles {
  readonly #disk: Disk
  readonly #layout: Layout
  readonly #states = new Map<number, BatchState>()
  /** Batches with open files, the least recently used first. */
  readonly #open = new Set<BatchState>()
  #pendingBytes = 0

  constructor(disk: Disk, layout: Layout) {
    this.#disk = disk
    this.#layout = layout
  }

  /** Sizes including what is gathered. */
  sizes(seq: number): SyncedSizes {
    const { records, output, error } = this.#state(seq).sizes
    return { records: records / RECORD_BYTES, outputBytes: output, errorBytes: error }
  }

  /** Starts from known sizes: what lies behind them in the files is cut. @returns a reason when a file is shorter */
  reset(seq: number, known: SyncedSizes): string | null {
    this.forget(seq)
    const state = this.#state(seq)
    state.sizes = {
      records: known.records * RECORD_BYTES,
      output: known.outputBytes,
      error: known.errorBytes,
    }
    const behind: { part: Part; bytes: number }[] = []
    for (const part of PARTS) {
      const path = this.#path(seq, part)
      const header = part === 'records' ? RECORDS_HEADER_BYTES : 0
      const wanted = state.sizes[part] === 0 ? 0 : state.sizes[part] + header
      if (!this.#disk.exists(path)) {
        if (wanted > 0) return `${path} is gone, ${wanted} bytes of it were synced`
        continue
      }
      const bytes = this.#disk.size(this.#handle(state, part))
      if (bytes < wanted) return `${path} has ${bytes} bytes, ${wanted} of it were synced`
      if (bytes > wanted) behind.push({ part, bytes: wanted })
    }
    for (const { part, bytes } of behind) {
      this.#disk.truncate(this.#handle(state, part), bytes)
      state.dirty.add(part)
    }
    return null
  }

  /** The bytes are copied: a small line must not hold on to the whole write it came with. */
  append(seq: number, kind: ResultFileKind, record: Uint8Array, line: Uint8Array): void {
    const state = this.#state(seq)
    state.pending.records.push(Buffer.from(record))
    state.pending[kind].push(Buffer.from(line))
    state.sizes.records += record.byteLength
    state.sizes[kind] += line.byteLength
    const bytes = record.byteLength + line.byteLength
    state.pendingBytes += bytes
    this.#pendingBytes += bytes
  }

  /** Writes what has gathered beyond the bounds. */
  flushLarge(): void {
    if (this.#pendingBytes > PENDING_TOTAL_BYTES_MAX) return this.flushAll()
    for (const state of this.#states.values()) if (state.pendingBytes > PENDING_BYTES_MAX) this.#flush(state)
  }

  flushAll(): void {
    for (const state of this.#states.values()) this.#flush(state)
  }

  flush(seq: number): void {
    const state = this.#states.get(seq)
    if (state !== undefined) this.#flush(state)
  }

  /** Batches with something that a checkpoint must sync, and with what. Marks them clean. */
  takeDirty(): Unsynced[] {
    const dirty: Unsynced[] = []
    for (const state of this.#states.values()) {
      if (state.dirty.size === 0 && !state.isFolderNew) continue
      dirty.push({ seq: state.seq, parts: [...state.dirty], isFolderNew: state.isFolderNew })
      state.dirty.clear()
      state.isFolderNew = false
    }
    return dirty
  }

  /** After the last batch whose folder is new, `syncFolders`. */
  sync({ seq, parts, isFolderNew }: Unsynced): void {
    const state = this.#state(seq)
    for (const part of parts) this.#disk.syncData(this.#handle(state, part))
    if (isFolderNew) this.#disk.syncFolder(this.#layout.batch(seq))
  }

  /** The names of the batches' folders. */
  syncFolders(): void {
    this.#disk.syncFolder(this.#layout.batches)
  }

  all(): Map<number, SyncedSizes> {
    return new Map([...this.#states.keys()].map((seq) => [seq, this.sizes(seq)]))
  }

  /** Closes the batch's files. Nothing may be gathered. */
  forget(seq: number): void {
    const state = this.#states.get(seq)
    if (state === undefined) return
    this.#pendingBytes -= state.pendingBytes
    this.#closeHandles(state)
    this.#states.delete(seq)
  }

  close(): void {
    for (const state of this.#states.values()) this.#closeHandles(state)
    this.#states.clear()
  }

  #state(seq: number): BatchState {
    let state = this.#states.get(seq)
    if (state === undefined) {
      state = {
        seq,
        sizes: { records: 0, output: 0, error: 0 },
        pending: { records: [], output: [], error: [] },
        pendingBytes: 0,
        dirty: new Set(),
        handles: {},
        isFolderNew: false,
      }
      this.#states.set(seq, state)
    }
    return state
  }

  /** All gathered bytes of a part are one write. A failure leaves them gathered; the same offset is written again later. */
  #flush(state: BatchState): void {
    if (state.pendingBytes === 0) return
    for (const part of PARTS) {
      const pieces = state.pending[part]
      if (pieces.length === 0) continue
      const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
      const header = part === 'records' ? RECORDS_HEADER_BYTES : 0
      const file = this.#handle(state, part)
      const at = header + state.sizes[part] - bytes.byteLength
      if (part === 'records' && at === header) this.#disk.write(file, encodeFormatHeader(recordsFormat), 0)
      this.#disk.write(file, bytes, at)
      state.dirty.add(part)
      state.pending[part] = []
      state.pendingBytes -= bytes.byteLength
      this.#pendingBytes -= bytes.byteLength
    }
  }

  #handle(state: BatchState, part: Part): FileHandle {
    this.#open.delete(state)
    this.#open.add(state)
    const known = state.handles[part]
    if (known !== undefined) return known
    this.#closeOldest(state)
    const folder = this.#layout.batch(state.seq)
    if (!this.#disk.exists(folder)) {
      this.#disk.makeFolder(folder)
      state.isFolderNew = true
    }
    const path = this.#path(state.seq, part)
    const isNew = !this.#disk.exists(path)
    const file = this.#disk.open(path, 'upsert')
    state.handles[part] = file
    if (isNew) state.isFolderNew = true
    return file
  }

  #closeOldest(keep: BatchState): void {
    if (this.#open.size <= OPEN_BATCHES_MAX) return
    for (const state of this.#open) {
      if (state === keep) continue
      this.#closeHandles(state)
      return
    }
  }

  #closeHandles(state: BatchState): void {
    for (const file of Object.values(state.handles)) this.#disk.close(file)
    state.handles = {}
    this.#open.delete(state)
  }

  #path(seq: number, part: Part): string {
    return part === 'records' ? this.#layout.records(seq) : this.#layout.lines(seq, part)
  }
}
