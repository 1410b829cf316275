/** Reads batches' own result files without blocking: lines from a number on, lines in input order, records in pages. */
import { type AsyncFiles, createAsyncFiles, readBlocks, readExactly } from '../../lib/async-file.ts'
import { TroubleError } from '../../lib/errors.ts'
import { checkFormatHeader } from '../../lib/format-header.ts'
import { decodeRecord, type LineRecord, RECORD_BYTES, resultFileAt } from '../record.ts'
import type { ReadPlan, ResultFileKind } from '../result-log.ts'
import { RECORDS_HEADER_BYTES, recordsFormat } from './batch-files.ts'
import type { Layout } from './layout.ts'

/** Records read at once: 320 KiB, about a millisecond of work. */
const RECORDS_PER_PAGE = 4_096
/** A known place is kept for every so many lines of a file. */
const LINES_PER_MARK = 1_024
/** Guess: batches whose line places are kept. */
const INDEXES_MAX = 64
/** Guess: bytes of lines in input order that are put together at once, and how far apart they may lie to be read in one piece. */
const ORDERED_BYTES = 256 * 1024
const ORDERED_SPAN_BYTES_MAX = 2 * 1024 * 1024

type Mark = { record: number; offset: number }
/** What a scan of the records has learned: grows with the batch, never changes behind. */
type LineIndex = {
  records: number
  lines: Record<ResultFileKind, number>
  bytes: Record<ResultFileKind, number>
  marks: Record<ResultFileKind, Mark[]>
  scan: Promise<void>
}

export class ResultReader {
  readonly #layout: Layout
  readonly #files: AsyncFiles = createAsyncFiles()
  readonly #indexes = new Map<number, LineIndex>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** @param known how much of the file is durable and written; null for an ended batch: all of it. */
  async plan(
    seq: number,
    kind: ResultFileKind,
    options: { fromLine: number; known: { lines: number; bytes: number } | null },
  ): Promise<ReadPlan> {
    const { fromLine } = options
    const source = this.#layout.lines(seq, kind)
    const known = options.known ?? (await this.#totals(seq, kind))
    const skipped = Math.min(fromLine, known.lines)
    const start =
      skipped === 0 ? 0 : skipped === known.lines ? known.bytes : await this.#offsetOf(seq, kind, skipped)
    return { lines: known.lines - skipped, start, end: known.bytes, source }
  }

  readRange(source: string, range: { start: number; end: number }): AsyncIterable<Uint8Array> {
    return readBlocks(this.#files, source, range)
  }

  async *records(seq: number, limit: number | null): AsyncIterable<readonly LineRecord[]> {
    for await (const page of this.#pages(seq, { from: 0, limit })) {
      const records: LineRecord[] = []
      for (let at = 0; at < page.byteLength; at += RECORD_BYTES) {
        const record = decodeRecord(page, at)
        if (record === null) throw new TroubleError('damaged', `a record of batch ${seq} is damaged`)
        records.push(record)
      }
      yield records
    }
  }

  /** Undecoded, in memory that every page has in turn. */
  recordPages(seq: number, limit: number | null): AsyncIterable<Buffer> {
    return this.#pages(seq, {
      from: 0,
      limit,
      memory: Buffer.allocUnsafeSlow(RECORDS_PER_PAGE * RECORD_BYTES),
    })
  }

  async line(seq: number, kind: ResultFileKind, place: { position: number; bytes: number }): Promise<Buffer> {
    const line = Buffer.allocUnsafeSlow(place.bytes)
    await readExactly(this.#files, this.#layout.lines(seq, kind), { target: line, offset: place.position })
    return line
  }

  /** @param fromByte of the lines as they come in this order */
  async *inputOrder(seq: number, kind: ResultFileKind, fromByte: number): AsyncIterable<Uint8Array> {
    const source = this.#layout.lines(seq, kind)
    const places = await this.#placesByLine(seq, kind)
    let first = 0
    let before = 0
    while (first < places.count && before + (places.lengths[first] ?? 0) <= fromByte) {
      before += places.lengths[first] ?? 0
      first += 1
    }
    if (first < places.count && before < fromByte) {
      const offset = places.offsets[first] ?? 0
      const end = offset + (places.lengths[first] ?? 0)
      yield* this.readRange(source, { start: offset + fromByte - before, end })
      first += 1
    }
    while (first < places.count) {
      const end = orderedEnd(places.lengths.subarray(0, places.count), first)
      yield* this.#orderedBlock(source, places, { from: first, to: end })
      first = end
    }
  }

  async size(seq: number, kind: ResultFileKind): Promise<number> {
    return (await this.#files.size(this.#layout.lines(seq, kind))) ?? 0
  }

  /** The file was removed. */
  async forget(seq: number, kind: ResultFileKind): Promise<void> {
    this.#indexes.delete(seq)
    await this.#files.drop(this.#layout.lines(seq, kind))
  }

  close(): Promise<void> {
    return this.#files.close()
  }

  async #totals(seq: number, kind: ResultFileKind): Promise<{ lines: number; bytes: number }> {
    const index = await this.#scanned(seq, null)
    return { lines: index.lines[kind], bytes: index.bytes[kind] }
  }

  /** Offset of line `lineNumber` (from 0) of the file: from the nearest mark on by its records, never by its answers. */
  async #offsetOf(seq: number, kind: ResultFileKind, line: number): Promise<number> {
    const index = await this.#scanned(seq, { kind, line })
    const place = Math.floor(line / LINES_PER_MARK)
    const mark = index.marks[kind][place]
    if (mark === undefined)
      throw new TroubleError('damaged', `batch ${seq} has fewer ${kind} lines than its counters say`)
    let offset = mark.offset
    let left = line - place * LINES_PER_MARK
    for await (const page of this.#pages(seq, { from: mark.record, limit: null })) {
      for (let at = 0; at < page.byteLength; at += RECORD_BYTES) {
        if (resultFileAt(page, at) !== kind) continue
        if (left === 0) return offset
        offset += page.readUInt32LE(at + 20)
        left -= 1
      }
    }
    return offset
  }

  /** Scans on until the line is known, or to the end of the records. */
  async #scanned(seq: number, target: { kind: ResultFileKind; line: number } | null): Promise<LineIndex> {
    let index = this.#indexes.get(seq)
    if (index === undefined) {
      const [oldest] = this.#indexes.keys()
      if (this.#indexes.size >= INDEXES_MAX && oldest !== undefined) this.#indexes.delete(oldest)
      index = {
        records: 0,
        lines: { output: 0, error: 0 },
        bytes: { output: 0, error: 0 },
        marks: { output: [], error: [] },
        scan: Promise.resolve(),
      }
      this.#indexes.set(seq, index)
    }
    const found = index
    if (target !== null && found.lines[target.kind] > target.line) return found
    // One scan of a batch at a time: the next one goes on where it ended.
    found.scan = found.scan.catch(() => undefined).then(() => this.#scanOn(seq, found))
    await found.scan
    return found
  }

  async #scanOn(seq: number, index: LineIndex): Promise<void> {
    for await (const page of this.#pages(seq, { from: index.records, limit: null })) {
      for (let at = 0; at < page.byteLength; at += RECORD_BYTES) {
        const kind = resultFileAt(page, at)
        if (index.lines[kind] % LINES_PER_MARK === 0)
          index.marks[kind].push({ record: index.records, offset: index.bytes[kind] })
        index.lines[kind] += 1
        index.bytes[kind] += page.readUInt32LE(at + 20)
        index.records += 1
      }
    }
  }

  /** Whole records from a number on. */
  async *#pages(
    seq: number,
    options: { from: number; limit: number | null; memory?: Buffer },
  ): AsyncIterable<Buffer> {
    const path = this.#layout.records(seq)
    const bytes = (await this.#files.size(path)) ?? 0
    const written = Math.max(0, Math.floor((bytes - RECORDS_HEADER_BYTES) / RECORD_BYTES))
    const end = options.limit === null ? written : Math.min(written, options.limit)
    if (written > 0) {
      const header = Buffer.allocUnsafeSlow(RECORDS_HEADER_BYTES)
      await readExactly(this.#files, path, { target: header, offset: 0 })
      checkFormatHeader(header, recordsFormat)
    }
    for (let record = options.from; record < end; ) {
      const count = Math.min(RECORDS_PER_PAGE, end - record)
      const bytes = count * RECORD_BYTES
      const page = options.memory?.subarray(0, bytes) ?? Buffer.allocUnsafeSlow(bytes)
      await readExactly(this.#files, path, {
        target: page,
        offset: RECORDS_HEADER_BYTES + record * RECORD_BYTES,
      })
      yield page
      record += count
    }
  }

  /** Offset and length of each line of the file by input line: 12 bytes a line, however long the answers are. */
  async #placesByLine(
    seq: number,
    kind: ResultFileKind,
  ): Promise<{ offsets: Float64Array; lengths: Uint32Array; count: number }> {
    const index = await this.#scanned(seq, null)
    let offsets = new Float64Array(index.records)
    let lengths = new Uint32Array(index.records)
    for await (const page of this.#pages(seq, { from: 0, limit: null })) {
      for (let at = 0; at < page.byteLength; at += RECORD_BYTES) {
        if (resultFileAt(page, at) !== kind) continue
        const line = page.readUInt32LE(at + 4)
        if (line >= offsets.length) {
          offsets = grown(offsets, line + 1)
          lengths = grown(lengths, line + 1)
        }
        offsets[line] = page.readDoubleLE(at + 12)
        lengths[line] = page.readUInt32LE(at + 20)
      }
    }
    return { offsets, lengths, count: offsets.length }
  }

  async *#orderedBlock(
    source: string,
    places: { offsets: Float64Array; lengths: Uint32Array; count: number },
    { from, to }: { from: number; to: number },
  ): AsyncIterable<Uint8Array> {
    const lines: { offset: number; bytes: number }[] = []
    for (let line = from; line < to; line += 1) {
      const bytes = places.lengths[line] ?? 0
      if (bytes > 0) lines.push({ offset: places.offsets[line] ?? 0, bytes })
    }
    if (lines.length === 0) return
    const start = lines.reduce((least, line) => Math.min(least, line.offset), Number.POSITIVE_INFINITY)
    const end = lines.reduce((most, line) => Math.max(most, line.offset + line.bytes), 0)
    if (end - start <= ORDERED_SPAN_BYTES_MAX) {
      const span = Buffer.allocUnsafeSlow(end - start)
      await readExactly(this.#files, source, { target: span, offset: start })
      yield Buffer.concat(
        lines.map((line) => span.subarray(line.offset - start, line.offset - start + line.bytes)),
      )
      return
    }
    for (const line of lines)
      yield* this.readRange(source, { start: line.offset, end: line.offset + line.bytes })
  }
}

/** @returns the line behind those that are put together from `first` on; at least one, and as many as have no bytes */
function orderedEnd(lengths: Uint32Array, first: number): number {
  let bytes = 0
  let line = first
  while (line < lengths.length && bytes < ORDERED_BYTES) {
    bytes += lengths[line] ?? 0
    line += 1
  }
  return line
}

function grown<T extends Float64Array | Uint32Array>(array: T, length: number): T {
  const larger =
    array instanceof Float64Array
      ? new Float64Array(Math.max(length, array.length * 2))
      : new Uint32Array(Math.max(length, array.length * 2))
  larger.set(array)
  // Made of the same kind as the array it grows from.
  return larger as T
}
