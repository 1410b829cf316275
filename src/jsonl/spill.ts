/** Temporary bytes that do not fit in memory: a file made with the first write and removed by `close`. */
import type { Disk, FileHandle } from '../lib/disk.ts'
import { assert } from '../lib/errors.ts'
import type { ReadAt } from './window-reader.ts'

export type Spill = {
  /** Adds the bytes at the end. @throws TroubleError `disk_full`, `disk_failed` */
  append(bytes: Uint8Array): void
  /** Does not use `this`. */
  read: ReadAt
  /** Leaves nothing behind. Safe at any time. */
  close(): void
}

export function createDiskSpill(disk: Disk, path: string): Spill {
  let file: FileHandle | null = null
  let bytesWritten = 0
  return {
    append(bytes) {
      file ??= disk.open(path, 'create')
      disk.write(file, bytes, bytesWritten)
      bytesWritten += bytes.byteLength
    },
    read(target, offset) {
      assert(file !== null, 'spill is read before it was written')
      return disk.read(file, target, offset)
    },
    close() {
      if (file === null) return
      disk.close(file)
      disk.remove(path)
      file = null
    },
  }
}
