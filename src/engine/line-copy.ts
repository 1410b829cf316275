/** Copies chosen request lines of an input file, byte for byte, each ended by a newline. Memory is that of one window of lines. */
import type { Blobs } from '../blobs/blobs.ts'
import { blobNames } from '../blobs/blobs.ts'
import type { StoredFile } from '../domain/file.ts'
import { READ_GAP_BYTES_MAX, WINDOW_BYTES_MAX, WINDOW_LINES_MAX } from '../domain/limits.ts'
import { hasBit } from '../lib/bitmap.ts'
import { TroubleError } from '../lib/errors.ts'
import { createLineReader, cutRuns, type IndexedLine } from './line-reader.ts'

const NEWLINE = Buffer.from('\n')

/** @param chosen bitmap: bit `lineIndex` is set for a line to copy. @throws TroubleError `damaged` when the bytes are gone */
export async function* copyLines(
  blobs: Blobs,
  file: StoredFile,
  chosen: { bitmap: Uint8Array; linesTotal: number },
): AsyncIterable<Uint8Array> {
  const { bitmap, linesTotal } = chosen
  const reader = createLineReader(blobs, file)
  for (let from = 0; from < linesTotal; from += WINDOW_LINES_MAX) {
    const to = Math.min(linesTotal, from + WINDOW_LINES_MAX)
    if (!hasAnyBit(bitmap, from, to)) continue
    const entries = (await reader.entries(from, to)).filter((entry) => hasBit(bitmap, entry.lineIndex))
    const runs = cutRuns(entries, spanOf, { gapMax: READ_GAP_BYTES_MAX, spanMax: WINDOW_BYTES_MAX })
    for (const run of runs) yield* copyRun(blobs, blobNames.data(file.id), run)
  }
}

/** Lines that lie close together are read in one piece; a line alone may be of any length, so it is passed on as it is read. */
async function* copyRun(
  blobs: Blobs,
  name: string,
  run: { start: number; end: number; items: IndexedLine[] },
): AsyncIterable<Uint8Array> {
  if (run.items.length === 1) {
    yield* blobs.read(name, { start: run.start, end: run.end })
    yield NEWLINE
    return
  }
  const raw = Buffer.allocUnsafe(run.end - run.start)
  const filled = await blobs.readInto(name, raw, run.start)
  if (filled !== raw.byteLength) {
    throw new TroubleError('damaged', `${name} ends at ${run.start + filled}, before ${run.end}`)
  }
  yield Buffer.concat(
    run.items.flatMap((entry) => {
      const { start, end } = spanOf(entry)
      return [raw.subarray(start - run.start, end - run.start), NEWLINE]
    }),
  )
}

function spanOf(entry: IndexedLine): { start: number; end: number } {
  return { start: entry.lineOffset, end: entry.lineOffset + entry.lineBytes }
}

/** @param from a multiple of 8, as windows are */
function hasAnyBit(bitmap: Uint8Array, from: number, to: number): boolean {
  return bitmap.subarray(from >>> 3, (to + 7) >>> 3).some((byte) => byte !== 0)
}
