/**
 * Reads request lines ahead of their dispatch: index entries in windows, then the bytes of the lines in coalesced ranges.
 * The slices of one range share its memory, which is freed when the last of them is done.
 */
import type { Blobs } from '../blobs/blobs.ts'
import { blobNames } from '../blobs/blobs.ts'
import type { StoredFile } from '../domain/file.ts'
import { READ_GAP_BYTES_MAX, WINDOW_BYTES_MAX } from '../domain/limits.ts'
import {
  decodeIndexEntry,
  decodeIndexHeader,
  INDEX_ENTRY_BYTES,
  INDEX_HEADER_BYTES,
  type IndexEntry,
} from '../jsonl/line-index.ts'
import { decodePlanHeader, LINE_PLAN_HEADER_BYTES } from '../jsonl/line-plan.ts'
import { TroubleError } from '../lib/errors.ts'

export type IndexedLine = IndexEntry & { lineIndex: number }

/** What one call needs of a line: the bytes as the user wrote them. */
export type LineBytes = { lineIndex: number; body: Uint8Array; customId: Uint8Array; endpointNumber: number }

export type LineReader = {
  /** @throws TroubleError `damaged` when the index is not that of this file, or needs a newer program */
  check(): Promise<void>
  /** Index entries of lines `from` to `to` (exclusive), in input order. */
  entries(from: number, to: number): Promise<IndexedLine[]>
  /** Line indexes at places `from` to `to` (exclusive) of the file's plan. */
  plan(from: number, to: number): Promise<Uint32Array>
  /** Entries of these lines, which must ascend. Near ones are read in one piece. */
  entriesOf(lineIndexes: Uint32Array): Promise<IndexedLine[]>
  /** The bytes of these lines, in their order. */
  lines(entries: readonly IndexedLine[]): Promise<LineBytes[]>
  /** Only the custom ids of these lines: for lines that get no call. */
  customIds(entries: readonly IndexedLine[]): Promise<{ lineIndex: number; customId: Uint8Array }[]>
}

export function createLineReader(blobs: Blobs, file: StoredFile): LineReader {
  const entries = async (from: number, to: number): Promise<IndexedLine[]> => {
    const raw = await readExactly(blobs, blobNames.index(file.id), {
      offset: INDEX_HEADER_BYTES + from * INDEX_ENTRY_BYTES,
      bytes: (to - from) * INDEX_ENTRY_BYTES,
    })
    return Array.from({ length: to - from }, (_, place) => ({
      ...decodeIndexEntry(raw, place * INDEX_ENTRY_BYTES),
      lineIndex: from + place,
    }))
  }
  return {
    async check() {
      const lines = decodeIndexHeader(
        await readExactly(blobs, blobNames.index(file.id), { offset: 0, bytes: INDEX_HEADER_BYTES }),
      )
      if (file.inspection === null || lines !== file.inspection.lines) {
        throw new TroubleError(
          'damaged',
          `the line index of ${file.id} has ${lines} lines, its file ${file.inspection?.lines ?? 0}`,
        )
      }
      if (file.inspection.models.length <= 1) return
      decodePlanHeader(
        await readExactly(blobs, blobNames.plan(file.id), { offset: 0, bytes: LINE_PLAN_HEADER_BYTES }),
      )
    },
    entries,
    async plan(from, to) {
      const raw = await readExactly(blobs, blobNames.plan(file.id), {
        offset: LINE_PLAN_HEADER_BYTES + from * 4,
        bytes: (to - from) * 4,
      })
      const lineIndexes = new Uint32Array(to - from)
      for (let place = 0; place < lineIndexes.length; place += 1)
        lineIndexes[place] = raw.readUInt32LE(place * 4)
      return lineIndexes
    },
    async entriesOf(lineIndexes) {
      const gapLines = READ_GAP_BYTES_MAX / INDEX_ENTRY_BYTES
      const runs = cutRuns([...lineIndexes], (lineIndex) => ({ start: lineIndex, end: lineIndex + 1 }), {
        gapMax: gapLines,
        spanMax: WINDOW_BYTES_MAX / INDEX_ENTRY_BYTES,
      })
      const parts = await Promise.all(
        runs.map(async (run) => {
          const wanted = new Set(run.items)
          return (await entries(run.start, run.end)).filter((entry) => wanted.has(entry.lineIndex))
        }),
      )
      return parts.flat()
    },
    lines: (wanted) =>
      readSpans(blobs, file, wanted, {
        spanOf: (entry) => ({ start: entry.lineOffset, end: entry.lineOffset + entry.lineBytes }),
        slice: sliceLine,
      }),
    customIds: (wanted) =>
      readSpans(blobs, file, wanted, {
        spanOf: (entry) => {
          const start = entry.lineOffset + entry.customIdStart
          return { start, end: start + entry.customIdBytes }
        },
        slice: (raw, entry, rawOffset) => {
          const at = entry.lineOffset + entry.customIdStart - rawOffset
          return { lineIndex: entry.lineIndex, customId: raw.subarray(at, at + entry.customIdBytes) }
        },
      }),
  }
}

/** Reads one span of each entry, near ones in one piece. */
async function readSpans<T>(
  blobs: Blobs,
  file: StoredFile,
  wanted: readonly IndexedLine[],
  how: {
    spanOf: (entry: IndexedLine) => { start: number; end: number }
    slice: (raw: Buffer, entry: IndexedLine, rawOffset: number) => T
  },
): Promise<T[]> {
  const runs = cutRuns(wanted, how.spanOf, { gapMax: READ_GAP_BYTES_MAX, spanMax: WINDOW_BYTES_MAX })
  const parts = await Promise.all(
    runs.map(async (run) => {
      const raw = await readExactly(blobs, blobNames.data(file.id), {
        offset: run.start,
        bytes: run.end - run.start,
      })
      return run.items.map((entry) => how.slice(raw, entry, run.start))
    }),
  )
  return parts.flat()
}

function sliceLine(raw: Buffer, entry: IndexedLine, rawOffset: number): LineBytes {
  const at = entry.lineOffset - rawOffset
  return {
    lineIndex: entry.lineIndex,
    body: raw.subarray(at + entry.bodyStart, at + entry.bodyStart + entry.bodyBytes),
    customId: raw.subarray(at + entry.customIdStart, at + entry.customIdStart + entry.customIdBytes),
    endpointNumber: entry.endpointNumber,
  }
}

async function readExactly(
  blobs: Blobs,
  name: string,
  range: { offset: number; bytes: number },
): Promise<Buffer> {
  // Not from the pool: slices of this live as long as their calls.
  const raw = Buffer.allocUnsafeSlow(range.bytes)
  const filled = await blobs.readInto(name, raw, range.offset)
  if (filled !== range.bytes) {
    throw new TroubleError(
      'damaged',
      `${name} ends at ${range.offset + filled}, before ${range.offset + range.bytes}`,
    )
  }
  return raw
}

/** Ascending items cut into runs in which neighbours are close and the whole is not too wide; a wide item stands alone. */
export function cutRuns<T>(
  items: readonly T[],
  spanOf: (item: T) => { start: number; end: number },
  bounds: { gapMax: number; spanMax: number },
): { start: number; end: number; items: T[] }[] {
  const runs: { start: number; end: number; items: T[] }[] = []
  for (const item of items) {
    const span = spanOf(item)
    const run = runs.at(-1)
    const isNear =
      run !== undefined && span.start - run.end <= bounds.gapMax && span.end - run.start <= bounds.spanMax
    if (run !== undefined && isNear) {
      run.end = span.end
      run.items.push(item)
    } else {
      runs.push({ ...span, items: [item] })
    }
  }
  return runs
}
