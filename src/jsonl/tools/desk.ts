/** What the tools need of the machine. */
import { join } from 'node:path'
import type { Disk } from '../../lib/disk.ts'
import type { Random } from '../../lib/random.ts'

export type Desk = {
  disk: Disk
  random: Random
  /** Holds what does not fit in memory, in files `dw-tool-…`; a crash leaves them there. */
  temporaryFolder: string
}

/** @returns a path that nothing else uses */
export function temporaryPath(desk: Desk): string {
  return join(desk.temporaryFolder, `dw-tool-${Buffer.from(desk.random.bytes(12)).toString('hex')}`)
}
