/**
 * The requests of a batch one by one: what became of each, in input order, in pages. A page needs memory for itself alone, however
 * large the batch is; `custom_id`s are searched in the input, a bounded part of it for each page.
 */
import type { Blobs } from '../blobs/blobs.ts'
import { type Batch, isEnded, type Outcome } from '../domain/batch.ts'
import type { RequestFacts } from '../domain/figures.ts'
import type { StoredFile } from '../domain/file.ts'
import {
  READ_GAP_BYTES_MAX,
  REQUEST_PAGE_BYTES_MAX,
  REQUEST_SEARCH_BYTES_MAX,
  REQUEST_SEARCH_LINES_MAX,
  WINDOW_LINES_MAX,
} from '../domain/limits.ts'
import type { Clock } from '../lib/clock.ts'
import { TroubleError } from '../lib/errors.ts'
import type { LineRecord } from '../results/record.ts'
import type { ResultFileKind, ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { findFile } from './file-lookup.ts'
import { findModels } from './line-models.ts'
import { createLineReader, type IndexedLine, type LineReader } from './line-reader.ts'
import { lowestRecords, type RecordMatch, unrecordedLines } from './request-scan.ts'

/** As much of a result line as surely holds its `custom_id`, for when the input is gone. */
const HEAD_BYTES = 32 * 1024

export type RequestParts = { store: Store; blobs: Blobs; results: ResultLog; clock: Clock }

export type RequestInclude = { input: boolean; output: boolean }

export type RequestQuery = {
  /** Null: any. pending: without a record so far. */
  status: Outcome | 'pending' | null
  httpStatus: number | null
  model: string | null
  minLatencyMs: number | null
  customId: string | null
  /** The first line to look at. */
  fromLine: number
  limit: number
  include: RequestInclude
}

export type RequestPage = {
  items: RequestFacts[]
  /** Lines that this page has looked at, `to` exclusive, of all. */
  searched: { from: number; to: number; total: number }
}

export type RequestService = {
  list(batch: Batch, query: RequestQuery): Promise<RequestPage>
  /** @returns null when the batch has no such `custom_id`, or its input is gone */
  find(batch: Batch, customId: string, include: RequestInclude): Promise<RequestFacts | null>
}

export function createRequests(parts: RequestParts): RequestService {
  /** Searches of whole inputs go one after the other: each reads as fast as the disk allows. */
  let last: Promise<unknown> = Promise.resolve()
  const searchAll = async (batch: Batch, customId: string): Promise<number | null> => {
    const input = await openInput(batch, parts)
    for (let from = 0; input !== null && from < batch.linesTotal; ) {
      const { found, to } = await searchCustomId(input.reader, { from, total: batch.linesTotal, customId })
      if (found !== null) return found
      from = to
    }
    return null
  }
  return {
    async list(batch, query) {
      const from = Math.min(query.fromLine, batch.linesTotal)
      const total = batch.linesTotal
      if (batch.inProgressAt === null || from === total)
        return { items: [], searched: { from, to: total, total } }
      const { lines, to } = await pickLines(batch, { ...query, fromLine: from }, parts)
      const { items, isCut } = await viewLines(batch, lines, { include: query.include, parts })
      const end = isCut ? (items.at(-1)?.lineIndex ?? from) + 1 : to
      return { items, searched: { from, to: end, total } }
    },
    async find(batch, customId, include) {
      if (batch.inProgressAt === null) return null
      const search = last.then(() => searchAll(batch, customId))
      last = search.catch(() => {
        // Told to the one who asked.
      })
      const lineIndex = await search
      if (lineIndex === null) return null
      const [line] = (await recordsOf(batch, { from: lineIndex, to: lineIndex + 1 }, parts)).lines
      const { items } = await viewLines(batch, line === undefined ? [] : [line], { include, parts })
      return items[0] ?? null
    },
  }
}

type PickedLine = { lineIndex: number; record: LineRecord | null }
type Picked = { lines: PickedLine[]; to: number }

async function pickLines(batch: Batch, query: RequestQuery, parts: RequestParts): Promise<Picked> {
  const { fromLine: from, limit, status } = query
  const total = batch.linesTotal
  const hasFilter = [status, query.httpStatus, query.model, query.minLatencyMs].some(
    (value) => value !== null,
  )
  if (query.customId !== null) {
    const input = await openInput(batch, parts)
    if (input === null) return { lines: [], to: total }
    const { found, to } = await searchCustomId(input.reader, { from, total, customId: query.customId })
    if (found === null) return { lines: [], to }
    const picked = await recordsOf(batch, { from: found, to: found + 1 }, parts)
    if (!hasFilter) return picked
    const again = { ...query, fromLine: found, limit: 1, customId: null }
    const { lines } = await pickLines(batch, again, parts)
    return { lines: lines.filter(({ lineIndex }) => lineIndex === found), to: found + 1 }
  }
  if (!hasFilter) return recordsOf(batch, { from, to: Math.min(total, from + limit) }, parts)
  const isOfModel = await modelFilter(batch, query.model, parts)
  const pages = parts.results.recordPages(batch.seq)
  if (status === 'pending') {
    // What has not ended has no answer to choose by.
    const isNone = query.httpStatus !== null || query.minLatencyMs !== null
    const matches = isNone ? () => false : isOfModel
    const found = await unrecordedLines(pages, { from, to: total, limit, matches })
    return {
      lines: found.map((lineIndex) => ({ lineIndex, record: null })),
      to: endOf(found, { limit, total }),
    }
  }
  const matches = matcher({ ...query, status }, isOfModel)
  const records = await lowestRecords(pages, { from, to: total, limit, matches })
  const lines = records.map((record) => ({ lineIndex: record.lineIndex, record }))
  const indexes = lines.map(({ lineIndex }) => lineIndex)
  return { lines, to: endOf(indexes, { limit, total }) }
}

/** A full page ends with its last line; one that is not has seen all. */
function endOf(found: readonly number[], { limit, total }: { limit: number; total: number }): number {
  return found.length < limit ? total : (found.at(-1) ?? 0) + 1
}

/** All lines of a range, those without a record too. */
async function recordsOf(
  batch: Batch,
  { from, to }: { from: number; to: number },
  { results }: RequestParts,
): Promise<Picked> {
  const wanted = { from, to, limit: to - from, matches: null }
  const records = await lowestRecords(results.recordPages(batch.seq), wanted)
  const byLine = new Map(records.map((record) => [record.lineIndex, record]))
  const lines = Array.from({ length: to - from }, (_, more) => ({
    lineIndex: from + more,
    record: byLine.get(from + more) ?? null,
  }))
  return { lines, to }
}

async function modelFilter(
  batch: Batch,
  model: string | null,
  parts: RequestParts,
): Promise<(lineIndex: number) => boolean> {
  if (model === null) return () => true
  const { names, of } = await findModels(batch, parts)
  const wanted = names.indexOf(model)
  return (lineIndex) => wanted >= 0 && of(lineIndex) === wanted
}

function matcher(
  {
    status,
    httpStatus,
    minLatencyMs,
  }: Pick<RequestQuery, 'httpStatus' | 'minLatencyMs'> & { status: Outcome | null },
  isOfModel: (lineIndex: number) => boolean,
): RecordMatch {
  return (fields) =>
    (status === null || fields.outcome === status) &&
    (httpStatus === null || fields.httpStatus === httpStatus) &&
    (minLatencyMs === null || fields.upstreamMs >= minLatencyMs) &&
    isOfModel(fields.lineIndex(fields.at))
}

/** @returns the line, or null and how far the search came */
async function searchCustomId(
  reader: LineReader,
  { from, total, customId }: { from: number; total: number; customId: string },
): Promise<{ found: number | null; to: number }> {
  const plain = Buffer.from(JSON.stringify(customId))
  const end = Math.min(total, from + REQUEST_SEARCH_LINES_MAX)
  let bytes = 0
  for (let at = from; at < end; ) {
    const to = Math.min(end, at + WINDOW_LINES_MAX)
    // A token with escapes is longer than the same without.
    const candidates = (await reader.entries(at, to)).filter(
      ({ customIdBytes }) => customIdBytes >= plain.byteLength,
    )
    for (const { lineIndex, customId: token } of await reader.customIds(candidates))
      if (isToken(token, { plain, customId })) return { found: lineIndex, to: lineIndex + 1 }
    at = to
    bytes += candidates.reduce((sum, { lineBytes }) => sum + Math.min(lineBytes, READ_GAP_BYTES_MAX), 0)
    if (bytes >= REQUEST_SEARCH_BYTES_MAX) return { found: null, to: at }
  }
  return { found: null, to: end }
}

const BACKSLASH = 0x5c

function isToken(token: Uint8Array, wanted: { plain: Buffer; customId: string }): boolean {
  if (wanted.plain.equals(token)) return true
  return token.includes(BACKSLASH) && textOf(token) === wanted.customId
}

/** The string of a JSON token. */
function textOf(token: Uint8Array): string {
  return String(JSON.parse(Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString('utf8')))
}

type Input = { file: StoredFile; reader: LineReader }

/** @returns null when the input is gone */
async function openInput(batch: Batch, { store, blobs }: RequestParts): Promise<Input | null> {
  const file = await store.files.getEvenDeleted(batch.inputFileId)
  if (file === null) return null
  const reader = createLineReader(blobs, file)
  try {
    await reader.check()
    return { file, reader }
  } catch (thrown) {
    // A deleted input loses its bytes a moment before its row.
    if (file.deletedAt === null || !(thrown instanceof TroubleError)) throw thrown
    return null
  }
}

async function viewLines(
  batch: Batch,
  picked: readonly PickedLine[],
  { include, parts }: { include: RequestInclude; parts: RequestParts },
): Promise<{ items: RequestFacts[]; isCut: boolean }> {
  const input = await openInput(batch, parts)
  const indexes = Uint32Array.from(picked, ({ lineIndex }) => lineIndex)
  const entries = input === null ? [] : await input.reader.entriesOf(indexes)
  const lines = fitting(picked, entries, include)
  const kept = entries.slice(0, lines.length)
  const tokens = input === null || include.input ? [] : await input.reader.customIds(kept)
  const bodies = input === null || !include.input ? [] : await input.reader.lines(kept)
  const upstreams = await parts.store.upstreams.numbers()
  const readable = await readableKinds(batch, parts)
  const items: RequestFacts[] = []
  for (const [place, { lineIndex, record }] of lines.entries()) {
    const entry = entries[place]
    const token = (include.input ? bodies : tokens)[place]?.customId ?? null
    const isReadable = record !== null && readable[kindOf(record)]
    const output = isReadable && include.output ? await readOutput(batch, record, parts) : null
    const head =
      token === null && isReadable ? (output ?? (await readOutput(batch, record, parts, HEAD_BYTES))) : null
    items.push({
      batchId: batch.id,
      inProgressAt: batch.inProgressAt ?? batch.createdAt,
      lineIndex,
      lineNumber: entry?.lineNumber ?? null,
      customId: token === null ? customIdOf(head) : textOf(token),
      model:
        entry === undefined
          ? batch.model
          : (input?.file.inspection?.models[entry.modelNumber]?.model ?? null),
      ended: record,
      upstream: record === null ? null : (upstreams.get(record.upstreamNumber) ?? null),
      input: bodies[place]?.body ?? null,
      output,
    })
  }
  return { items, isCut: lines.length < picked.length }
}

/** As many of them as a page holds, at least one. */
function fitting(
  picked: readonly PickedLine[],
  entries: readonly IndexedLine[],
  include: RequestInclude,
): readonly PickedLine[] {
  let bytes = 0
  const over = picked.findIndex(({ record }, place) => {
    bytes += include.input ? (entries[place]?.lineBytes ?? 0) : 0
    bytes += include.output ? (record?.lineBytes ?? 0) : 0
    return place > 0 && bytes > REQUEST_PAGE_BYTES_MAX
  })
  return over === -1 ? picked : picked.slice(0, over)
}

function kindOf({ outcome }: LineRecord): ResultFileKind {
  return outcome === 'succeeded' ? 'output' : 'error'
}

/** A live batch's files cannot be deleted; those of an ended one are readable while they have their row. */
async function readableKinds(batch: Batch, parts: RequestParts): Promise<Record<ResultFileKind, boolean>> {
  if (!isEnded(batch.status)) return { output: true, error: true }
  const isThere = async (id: string): Promise<boolean> => (await findFile(parts, batch.tenantId, id)) !== null
  const [output, error] = await Promise.all([
    isThere(batch.outputFileIdReserved),
    isThere(batch.errorFileIdReserved),
  ])
  return { output, error }
}

async function readOutput(
  batch: Batch,
  record: LineRecord,
  { results }: RequestParts,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  // Without its newline.
  const bytes = Math.min(record.lineBytes - 1, bytesMax)
  return results.readLine(batch.seq, kindOf(record), { position: record.position, bytes })
}

/** Of a result line, or of its beginning. */
function customIdOf(head: Uint8Array | null): string | null {
  if (head === null) return null
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, HEAD_BYTES)).toString(
    'utf8',
  )
  const token = /^\{"id":"[^"]*","custom_id":("(?:[^"\\]|\\.)*")/.exec(text)?.[1]
  return token === undefined ? null : String(JSON.parse(token))
}
