/** The file calls of the main thread on a simulated disk, with the promises of `AsyncFiles`: each is the points of the disk that it makes. */
import type { AsyncFiles } from '../../src/lib/async-file.ts'
import { TroubleError } from '../../src/lib/errors.ts'
import type { SimulatedDisk } from './simulated-disk.ts'

export function createSimulatedFiles(disk: SimulatedDisk): AsyncFiles {
  return {
    async read(path, target, offset) {
      if (!disk.exists(path)) throw new TroubleError('damaged', `${path} is absent`)
      const file = disk.open(path, 'read')
      const filled = disk.read(file, target, offset)
      disk.close(file)
      return filled
    },
    async size(path) {
      if (!disk.exists(path)) return null
      const file = disk.open(path, 'read')
      const bytes = disk.size(file)
      disk.close(file)
      return bytes
    },
    async create(path, content) {
      const file = disk.open(path, 'create')
      let bytes = 0
      try {
        for await (const chunk of content) {
          disk.write(file, chunk, bytes)
          bytes += chunk.byteLength
        }
        disk.syncData(file)
        return bytes
      } catch (thrown) {
        disk.remove(path)
        throw thrown
      } finally {
        disk.close(file)
      }
    },
    rename: async (from, to) => disk.rename(from, to),
    drop: async () => undefined,
    async remove(path) {
      if (disk.exists(path)) disk.remove(path)
    },
    syncFolder: async (path) => disk.syncFolder(path),
    async *names(folder) {
      yield* disk.list(folder)
    },
    close: async () => undefined,
  }
}
