/**
 * The only file calls of the server's storage, synchronous, for worker threads and for start-up. A test puts a simulated disk
 * behind the same type; every call is then a named point at which it can fail or crash.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { messageOf, systemCodeOf, TroubleError } from './errors.ts'

export type FileHandle = number

export type Disk = {
  /** 'read': must exist. 'write': must exist, positioned writes. 'create': made empty, must not exist. 'upsert': made if absent, kept if there. */
  open(path: string, mode: 'read' | 'write' | 'create' | 'upsert'): FileHandle
  close(file: FileHandle): void
  /** Bytes in the file. */
  size(file: FileHandle): number
  /** Fills `target` from `offset`; returns the bytes read, fewer only at the end of the file. */
  read(file: FileHandle, target: Uint8Array, offset: number): number
  /** Writes all of `bytes` at `offset`. @throws TroubleError `disk_full`, `disk_failed` */
  write(file: FileHandle, bytes: Uint8Array, offset: number): void
  truncate(file: FileHandle, bytes: number): void
  /** Data and length survive power loss when this returns. A failure must end the process: never retried. */
  syncData(file: FileHandle): void
  /** The directory's entries survive power loss when this returns. */
  syncFolder(path: string): void
  rename(from: string, to: string): void
  remove(path: string): void
  removeFolder(path: string): void
  makeFolder(path: string): void
  exists(path: string): boolean
  list(path: string): string[]
  bytesFree(path: string): number
}

const openFlags = { read: 'r', write: 'r+', create: 'wx+' } as const
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

export const systemDisk: Disk = {
  open(path, mode) {
    const flags = mode === 'upsert' ? (existsSync(path) ? 'r+' : 'wx+') : openFlags[mode]
    return translated(path, () => openSync(path, flags, FILE_MODE))
  },
  close: (file) => closeSync(file),
  size: (file) => fstatSync(file).size,
  read(file, target, offset) {
    let filled = 0
    while (filled < target.byteLength) {
      const count = readSync(file, target, filled, target.byteLength - filled, offset + filled)
      if (count === 0) break
      filled += count
    }
    return filled
  },
  write(file, bytes, offset) {
    translated(`file ${file}`, () => {
      let written = 0
      while (written < bytes.byteLength) {
        written += writeSync(file, bytes, written, bytes.byteLength - written, offset + written)
      }
    })
  },
  truncate: (file, bytes) => translated(`file ${file}`, () => ftruncateSync(file, bytes)),
  syncData: (file) => fdatasyncSync(file),
  syncFolder(path) {
    const folder = openSync(path, 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  },
  rename: (from, to) => translated(from, () => renameSync(from, to)),
  remove: (path) => unlinkSync(path),
  removeFolder: (path) => rmSync(path, { recursive: true, force: true }),
  makeFolder: (path) => {
    translated(path, () => mkdirSync(path, { recursive: true, mode: FOLDER_MODE }))
  },
  exists: (path) => existsSync(path),
  list: (path) => readdirSync(path),
  bytesFree(path) {
    const stats = statfsSync(path)
    return stats.bavail * stats.bsize
  },
}

/** Makes the folder and those that lead to it. Their names survive power loss when it returns, and so can what is put there. */
export function makeDurableFolder(
  disk: Pick<Disk, 'exists' | 'makeFolder' | 'syncFolder'>,
  path: string,
): void {
  const made: string[] = []
  for (let folder = path; !disk.exists(folder); folder = dirname(folder)) made.push(folder)
  disk.makeFolder(path)
  for (const folder of made) disk.syncFolder(dirname(folder))
}

const FULL_CODES = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

function translated<T>(what: string, call: () => T): T {
  try {
    return call()
  } catch (thrown) {
    throw diskTrouble(what, thrown)
  }
}

/** What a failed file call means: `disk_full` when there is no room, else `disk_failed`. */
export function diskTrouble(what: string, thrown: unknown): TroubleError {
  const code = systemCodeOf(thrown)
  if (code !== null && FULL_CODES.has(code)) {
    return new TroubleError('disk_full', `no space left for ${what}`, { cause: thrown })
  }
  return new TroubleError('disk_failed', `${what}: ${messageOf(thrown)}`, { cause: thrown })
}
