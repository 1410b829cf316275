/** A piece of work on the simulated disk that is crashed at each of its file calls, and goes on from what the crash left. */
import type { SimulatedDisk } from '../../test/kit/simulated-disk.ts'

export type Story = {
  name: string
  /** Room that the disk has, in bytes. */
  bytesFree: number
  /** Nothing is on the disk yet, and nothing was promised. */
  begin(options: { acknowledgesEarly: boolean }): Telling
}

/**
 * One course of the work. It holds the facts that the product keeps in its database, whose commits are atomic: what was acknowledged,
 * and what was begun.
 */
export type Telling = {
  /** The start of the program on what the disk holds. @returns what of the promises does not hold */
  start(disk: SimulatedDisk): Promise<string[]>
  /** Works on to the end. @returns what of the promises does not hold then */
  finish(disk: SimulatedDisk): Promise<string[]>
  copy(): Telling
}

export const DATA_FOLDER = '/home/data'

/** @returns null when the file is absent */
export function readWhole(disk: SimulatedDisk, path: string): Buffer | null {
  if (!disk.exists(path)) return null
  const file = disk.open(path, 'read')
  const bytes = Buffer.alloc(disk.size(file))
  disk.read(file, bytes, 0)
  disk.close(file)
  return bytes
}
