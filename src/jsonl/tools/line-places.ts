/** Remembers where the lines of a file lie, to read any of them again. Flat memory. */
import { LINE_BYTES_MAX } from '../../domain/limits.ts'
import type { Desk } from './desk.ts'
import type { Line } from './lines.ts'
import { createPagedNumbers } from './paged-numbers.ts'

export type LinePlaces = {
  /** Lines come in order. */
  add(line: Pick<Line, 'lineNumber' | 'offset' | 'lineBytes'>): void
  /** The line that was added under this number. */
  read(lineNumber: number): Buffer
  close(): void
}

const NEWLINE = 10

export function createLinePlaces(desk: Desk, path: string): LinePlaces {
  const { disk } = desk
  const file = disk.open(path, 'read')
  /** Where each line begins, by its number; a line ends where the next one begins, so that lengths need no room. */
  const offsets = createPagedNumbers(desk, 'f64')
  let added = 0
  return {
    add({ lineNumber, offset, lineBytes }) {
      // Blank lines in between belong to the end of the line before.
      for (let skipped = added + 1; skipped <= lineNumber; skipped += 1) offsets.set(skipped, offset)
      added = lineNumber
      offsets.set(lineNumber + 1, offset + lineBytes)
    },
    read(lineNumber) {
      const offset = offsets.get(lineNumber)
      const bytesMax = Math.min(offsets.get(lineNumber + 1) - offset, LINE_BYTES_MAX)
      const bytes = Buffer.allocUnsafe(bytesMax)
      const filled = bytes.subarray(0, disk.read(file, bytes, offset))
      const newline = filled.indexOf(NEWLINE)
      return newline === -1 ? filled : filled.subarray(0, newline)
    },
    close() {
      disk.close(file)
      offsets.close()
    },
  }
}
