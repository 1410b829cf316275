/**
 * One upload inside the intake's thread: bytes go to disk, into the hash and through the inspector as they come.
 *
 * Invariants: until `finish` everything lies under temporary names; `finish` syncs every file before it renames the first, and the
 * folder after the last. Whatever throws, `abort` removes all of it, renamed files too. A crash before the renames leaves temporary
 * files, which the next start removes; a crash between them leaves blobs that no row names, which are swept like any other.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { blobNames } from '../blobs/blobs.ts'
import { temporaryName } from '../blobs/temporary.ts'
import type { Finding } from '../domain/batch.ts'
import type { Inspection } from '../domain/file.ts'
import { FINDINGS_SHOWN_MAX } from '../domain/limits.ts'
import { createInspector, type Inspected, type Sampled } from '../jsonl/inspector.ts'
import {
  encodeIndexEntry,
  encodeIndexHeader,
  INDEX_ENTRY_BYTES,
  INDEX_HEADER_BYTES,
  type IndexEntry,
} from '../jsonl/line-index.ts'
import { createDiskSpill } from '../jsonl/spill.ts'
import type { Disk, FileHandle } from '../lib/disk.ts'
import { assert } from '../lib/errors.ts'
import { writePlan } from './intake-plan.ts'

export type IntakeLimits = { lineBytesMax: number; fileLinesMax: number }

export type UploadOptions = {
  disk: Disk
  folder: string
  fileId: string
  seed: Uint8Array
  limits: IntakeLimits
  /** A sync failed: what the disk holds is unknown from here on. */
  onSyncFailure: (thrown: unknown) => void
}

type PendingFile = {
  handle: FileHandle
  temporaryPath: string
  path: string
  isOpen: boolean
  isRenamed: boolean
}

/** Guess: index entries gathered before they are written. */
const ENTRIES_HELD_MAX = 1024
/** Guess: spreads the cost of the final sync over the upload. */
const SYNC_EVERY_BYTES = 64 * 1024 * 1024
/** Guess: findings encoded at a time. */
const FINDINGS_PER_WRITE = 512

export class UploadInWorker {
  private readonly options: UploadOptions
  private readonly files: PendingFile[] = []
  private readonly data: PendingFile
  private readonly index: PendingFile
  private readonly hash = createHash('sha256')
  private readonly spill
  private readonly inspector
  private readonly entries = Buffer.allocUnsafeSlow(ENTRIES_HELD_MAX * INDEX_ENTRY_BYTES)
  private entriesHeld = 0
  private entriesWritten = 0
  private bytes = 0
  private bytesSynced = 0

  /** @throws TroubleError; nothing remains then. */
  constructor(options: UploadOptions) {
    const { disk, folder, fileId } = options
    this.options = options
    this.spill = createDiskSpill(disk, join(folder, temporaryName('intake', `${fileId}.spill`)))
    this.inspector = createInspector({
      lineBytesMax: options.limits.lineBytesMax,
      linesMax: options.limits.fileLinesMax,
      seed: options.seed,
      spill: this.spill,
      readBack: (target, offset) => disk.read(this.data.handle, target, offset),
      onEntry: (entry) => this.addEntry(entry),
    })
    try {
      this.data = this.create(blobNames.data(fileId))
      this.index = this.create(blobNames.index(fileId))
    } catch (thrown) {
      this.abort()
      throw thrown
    }
  }

  /** @throws TroubleError `disk_full`, `disk_failed`; the caller then aborts. */
  write(chunk: Uint8Array): void {
    this.options.disk.write(this.data.handle, chunk, this.bytes)
    this.bytes += chunk.byteLength
    this.hash.update(chunk)
    this.inspector.push(chunk)
    if (this.bytes - this.bytesSynced < SYNC_EVERY_BYTES) return
    this.sync(this.data)
    this.bytesSynced = this.bytes
  }

  /** @throws TroubleError; the caller then aborts. */
  finish(): Inspection & Pick<Sampled, 'samples'> {
    const { disk, folder } = this.options
    const inspected = this.inspector.finish()
    this.spill.close()
    this.flushEntries()
    disk.write(this.index.handle, encodeIndexHeader(this.entriesWritten), 0)
    if (inspected.findingsTotal > 0) this.writeFindings(inspected.findings)
    else if (inspected.models.length > 1) this.writePlan(inspected)
    for (const file of this.files) {
      this.sync(file)
      disk.close(file.handle)
      file.isOpen = false
    }
    for (const file of this.files) {
      disk.rename(file.temporaryPath, file.path)
      file.isRenamed = true
    }
    this.syncOrEnd(() => disk.syncFolder(folder))
    return {
      ...inspected,
      sha256: this.hash.digest('hex'),
      findings: inspected.findings.slice(0, FINDINGS_SHOWN_MAX),
    }
  }

  /** Leaves nothing of the upload. */
  abort(): void {
    const { disk } = this.options
    attempt(() => this.spill.close())
    for (const file of this.files) {
      if (file.isOpen) attempt(() => disk.close(file.handle))
      attempt(() => disk.remove(file.isRenamed ? file.path : file.temporaryPath))
    }
    this.files.length = 0
  }

  private create(name: string): PendingFile {
    const { disk, folder } = this.options
    const temporaryPath = join(folder, temporaryName('intake', name))
    const handle = disk.open(temporaryPath, 'create')
    const file = { handle, temporaryPath, path: join(folder, name), isOpen: true, isRenamed: false }
    this.files.push(file)
    return file
  }

  private addEntry(entry: IndexEntry): void {
    encodeIndexEntry(entry, this.entries, this.entriesHeld * INDEX_ENTRY_BYTES)
    this.entriesHeld += 1
    if (this.entriesHeld === ENTRIES_HELD_MAX) this.flushEntries()
  }

  private flushEntries(): void {
    const held = this.entries.subarray(0, this.entriesHeld * INDEX_ENTRY_BYTES)
    const offset = INDEX_HEADER_BYTES + this.entriesWritten * INDEX_ENTRY_BYTES
    this.options.disk.write(this.index.handle, held, offset)
    this.entriesWritten += this.entriesHeld
    this.entriesHeld = 0
  }

  private writePlan(inspected: Inspected): void {
    assert(this.entriesWritten === inspected.lines, 'a file without findings has an entry for every line')
    const { disk, fileId } = this.options
    const plan = this.create(blobNames.plan(fileId))
    writePlan({ disk, index: this.index.handle, plan: plan.handle }, inspected.models)
  }

  private writeFindings(findings: readonly Finding[]): void {
    const file = this.create(blobNames.findings(this.options.fileId))
    let offset = 0
    for (let at = 0; at < findings.length; at += FINDINGS_PER_WRITE) {
      const lines = findings
        .slice(at, at + FINDINGS_PER_WRITE)
        .map(({ lineNumber, param, code, message }) => {
          return `${JSON.stringify({ line: lineNumber, param, code, message })}\n`
        })
      const bytes = Buffer.from(lines.join(''))
      this.options.disk.write(file.handle, bytes, offset)
      offset += bytes.byteLength
    }
  }

  private sync(file: PendingFile): void {
    this.syncOrEnd(() => this.options.disk.syncData(file.handle))
  }

  private syncOrEnd(sync: () => void): void {
    try {
      sync()
    } catch (thrown) {
      this.options.onSyncFailure(thrown)
      throw thrown
    }
  }
}

function attempt(remove: () => void): void {
  try {
    remove()
  } catch {
    // What cannot be removed now has a temporary name, or one that no row has: the next start or the sweep removes it.
  }
}
