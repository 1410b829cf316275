/**
 * Names of files that a blob folder holds while something is being written. They are no blobs: no list shows them, and the writer
 * that a crash stopped removes its own when it starts again.
 */
import { join } from 'node:path'
import type { Disk } from '../lib/disk.ts'

const TEMPORARY_PREFIX = 'tmp-'

/** Who writes: each removes only its own remains. */
export type TemporaryOwner = 'put' | 'intake'

export function temporaryName(owner: TemporaryOwner, name: string): string {
  return `${TEMPORARY_PREFIX}${owner}-${name}`
}

export function isTemporary(name: string): boolean {
  return name.startsWith(TEMPORARY_PREFIX)
}

/** Removes what a stopped process left. @returns how many files */
export function removeTemporaries(disk: Disk, folder: string, owner: TemporaryOwner): number {
  const left = disk.list(folder).filter((name) => name.startsWith(temporaryName(owner, '')))
  for (const name of left) disk.remove(join(folder, name))
  return left.length
}
