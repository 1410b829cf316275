/** A piece of work on the simulated disk that is crashed at each of its file calls. */
import type { SimulatedDisk } from '../../test/kit/simulated-disk.ts'

export type Story = {
  name: string
  /** Works until it ends or the disk crashes. @returns what to look for afterwards, or null when nothing was promised yet */
  run(disk: SimulatedDisk): Check | null
}

/** Starts again on what is left of the disk, and goes on. @returns what the promises miss */
export type Check = (disk: SimulatedDisk) => string[]
