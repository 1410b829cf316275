/**
 * Blobs as files of one folder. A blob is written under a temporary name, synced, renamed, and its folder synced: a crash leaves either
 * all of it or a temporary file, which the next `openDiskBlobs` removes.
 */
import { join } from 'node:path'
import { type AsyncFiles, createAsyncFiles, readBlocks } from '../lib/async-file.ts'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { assert } from '../lib/errors.ts'
import type { Blobs } from './blobs.ts'
import { isTemporary, removeTemporaries, temporaryName } from './temporary.ts'

/** Required by common file systems: 255 bytes a name, less the temporary prefix. */
const NAME_CHARACTERS_MAX = 200
const namePattern = /^[a-z0-9][a-z0-9._-]*$/

/** Makes the folder if it is absent. @param options disk and files are one disk. @throws TroubleError `disk_full`, `disk_failed` */
export function openDiskBlobs(options: { folder: string; disk?: Disk; files?: AsyncFiles }): Blobs {
  const { folder, disk = systemDisk, files = createAsyncFiles() } = options
  disk.makeFolder(folder)
  removeTemporaries(disk, folder, 'put')
  let lastPut = 0
  const pathOf = (name: string): string => {
    assert(isBlobName(name), `not a blob name: ${JSON.stringify(name)}`)
    return join(folder, name)
  }
  const undo =
    (path: string) =>
    async (thrown: unknown): Promise<never> => {
      await files.remove(path)
      throw thrown
    }
  return {
    async put(name, content) {
      const path = pathOf(name)
      lastPut += 1
      const temporaryPath = join(folder, temporaryName('put', `${lastPut}-${name}`))
      const bytes = await files.create(temporaryPath, content)
      await files.rename(temporaryPath, path).catch(undo(temporaryPath))
      // A sync that failed is not tried again: without its name the blob was never there.
      await files.syncFolder(folder).catch(undo(path))
      return bytes
    },
    async *read(name, range) {
      yield* readBlocks(files, pathOf(name), range)
    },
    readInto: async (name, target, offset) => files.read(pathOf(name), target, offset),
    size: async (name) => files.size(pathOf(name)),
    remove: async (name) => files.remove(pathOf(name)),
    async *list() {
      for await (const name of files.names(folder)) if (isBlobName(name)) yield name
    },
    close: () => files.close(),
  }
}

function isBlobName(name: string): boolean {
  return name.length <= NAME_CHARACTERS_MAX && namePattern.test(name) && !isTemporary(name)
}
