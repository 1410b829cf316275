import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Disk } from '../lib/disk.ts'
import type { Random } from '../lib/random.ts'
import { createInspector, type InspectorOptions, type Sampled } from './inspector.ts'
import { createDiskSpill } from './spill.ts'

/** Guess: a few milliseconds of work between looks at signals and the screen. */
const READ_BYTES = 1024 * 1024

export type InspectFileOptions = Pick<
  InspectorOptions,
  'lineBytesMax' | 'linesMax' | 'modelOverride' | 'onEntry'
> & {
  disk: Disk
  random: Random
  /** Where hashes of ids go when there are very many. */
  temporaryFolder: string
  onProgress?: (bytes: number) => void
  signal?: AbortSignal
}

/**
 * Inspects a local file, letting other work of the thread through in between. Leaves nothing behind.
 * @param path a regular file
 * @throws TroubleError `disk_full`, `disk_failed`; the signal's reason when it is aborted
 */
export async function inspectFile(path: string, options: InspectFileOptions): Promise<Sampled> {
  const { disk, random, temporaryFolder, onProgress, signal } = options
  const name = Buffer.from(random.bytes(8)).toString('hex')
  const spill = createDiskSpill(disk, join(temporaryFolder, `dw-inspect-${name}`))
  const file = disk.open(path, 'read')
  try {
    const inspector = createInspector({
      ...options,
      seed: random.bytes(8),
      spill,
      readBack: (target, offset) => disk.read(file, target, offset),
    })
    const chunk = Buffer.allocUnsafeSlow(READ_BYTES)
    let bytes = 0
    for (;;) {
      const filled = disk.read(file, chunk, bytes)
      if (filled === 0) return inspector.finish()
      inspector.push(chunk.subarray(0, filled))
      bytes += filled
      onProgress?.(bytes)
      await setImmediate()
      signal?.throwIfAborted()
    }
  } finally {
    disk.close(file)
    spill.close()
  }
}
