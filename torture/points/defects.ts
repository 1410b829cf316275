/** Disks that say yes to what they do not do: each breaks one thing that the product rests on. */
import type { FileHandle } from '../../src/lib/disk.ts'
import type { SimulatedDisk } from '../../test/kit/simulated-disk.ts'
import { resealFrames } from '../torn/reseal.ts'

export const defects = {
  'skips-log-sync': 'answers are acknowledged without the log having been synced',
  'skips-checkpoint-sync': 'a checkpoint lets go of the log without the batches having been synced',
  'skips-upload-sync': 'uploads are acknowledged without their bytes having been synced',
  'skips-folder-sync': 'names are acknowledged without having been synced',
  'acknowledges-early': 'answers are acknowledged before they are written and synced',
  'skips-checksum': 'the recovery takes frames of the log without looking at their checksums',
}

export type Defect = keyof typeof defects

const unsyncedPaths = {
  'skips-log-sync': /\/log\/\d+\.log$/,
  'skips-checkpoint-sync': /\/batches\//,
  'skips-upload-sync': /\/blobs\//,
} as const

export function harmed(disk: SimulatedDisk, defect: Defect | null): SimulatedDisk {
  switch (defect) {
    case 'skips-log-sync':
    case 'skips-checkpoint-sync':
    case 'skips-upload-sync': {
      const syncData = (file: FileHandle): void => {
        if (!unsyncedPaths[defect].test(disk.pathOf(file))) disk.syncData(file)
      }
      return { ...disk, syncData }
    }
    case 'skips-folder-sync':
      return { ...disk, syncFolder: () => undefined }
    case 'skips-checksum':
      return { ...disk, read: (file, target, offset) => readResealed(disk, { file, offset }, target) }
    default:
      return disk
  }
}

/** The recovery reads a segment whole. */
function readResealed(
  disk: SimulatedDisk,
  from: { file: FileHandle; offset: number },
  target: Uint8Array,
): number {
  const filled = disk.read(from.file, target, from.offset)
  if (disk.pathOf(from.file).endsWith('.log'))
    resealFrames(Buffer.from(target.buffer, target.byteOffset, filled))
  return filled
}
