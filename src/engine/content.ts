/** Reading files: bytes of inputs and of results, lines from a number on, and results in input order. */
import type { Blobs } from '../blobs/blobs.ts'
import { blobNames } from '../blobs/blobs.ts'
import { type Batch, isEnded } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import type { Clock } from '../lib/clock.ts'
import { BugError, RefusedError } from '../lib/errors.ts'
import type { ResultFileKind, ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { findFile } from './file-lookup.ts'
import { createLineReader } from './line-reader.ts'
import type { Content, LineContent, OrderedContent } from './service.ts'

export type ContentParts = { store: Store; blobs: Blobs; results: ResultLog; clock: Clock }

export function createContentService(parts: ContentParts) {
  const { store, blobs, results } = parts
  const find = (tenantId: string, id: string): Promise<StoredFile | null> => findFile(parts, tenantId, id)

  return {
    async openContent(tenantId: string, id: string): Promise<Content | null> {
      const file = await find(tenantId, id)
      if (file === null) return null
      if (file.kind === 'input') {
        const read = (range: { start: number; end: number }) => readExtents(blobs, file, range)
        return { file, bytes: file.bytes, isIncomplete: false, read }
      }
      const { batch, kind } = await requireBatch(store, file)
      const plan = await results.plan(batch.seq, kind, 0)
      const read = (range: { start: number; end: number }) => results.readRange(plan.source, range)
      return {
        file: { ...file, bytes: plan.end },
        bytes: plan.end,
        isIncomplete: !isEnded(batch.status),
        read,
      }
    },

    async openLines(tenantId: string, id: string, fromLine: number): Promise<LineContent | null> {
      const file = await find(tenantId, id)
      if (file === null) return null
      if (file.kind === 'input') return inputLines(blobs, file, fromLine)
      const { batch, kind } = await requireBatch(store, file)
      const plan = await results.plan(batch.seq, kind, fromLine)
      return {
        file,
        lastLine: fromLine + plan.lines,
        isIncomplete: !isEnded(batch.status),
        bytes: plan.end - plan.start,
        body: results.readRange(plan.source, plan),
      }
    },

    async openInputOrder(tenantId: string, id: string): Promise<OrderedContent | null> {
      const file = await find(tenantId, id)
      if (file === null) return null
      if (file.kind === 'input') {
        const read = (range: { start: number; end: number }) => readExtents(blobs, file, range)
        return { ...(await inputLines(blobs, file, 0)), read }
      }
      const { batch, kind } = await requireBatch(store, file)
      if (!isEnded(batch.status)) {
        throw new RefusedError(
          'not_ended',
          `Batch ${batch.id} is still ${batch.status}: lines in input order exist once it has ended.`,
          { status: 409, param: 'order' },
        )
      }
      return {
        file,
        lastLine: kind === 'output' ? batch.tally.outputLines : batch.tally.errorLines,
        isIncomplete: false,
        bytes: kind === 'output' ? batch.tally.outputBytes : batch.tally.errorBytes,
        body: results.readInputOrder(batch.seq, kind, 0),
        read: ({ start, end }) => firstBytes(results.readInputOrder(batch.seq, kind, start), end - start),
      }
    },

    async openFindings(tenantId: string, id: string): Promise<AsyncIterable<Uint8Array> | null> {
      const file = await find(tenantId, id)
      if (file === null || file.kind !== 'input') return null
      const name = blobNames.findings(id)
      const bytes = await blobs.size(name)
      return blobs.read(name, { start: 0, end: bytes ?? 0 })
    },
  }
}

async function requireBatch(store: Store, file: StoredFile): Promise<{ batch: Batch; kind: ResultFileKind }> {
  const batch = file.batchId === null ? null : await store.batches.get(file.batchId, file.tenantId)
  if (batch === null || file.kind === 'input') throw new BugError(`result file ${file.id} has no batch`)
  return { batch, kind: file.kind }
}

async function* firstBytes(source: AsyncIterable<Uint8Array>, bytes: number): AsyncIterable<Uint8Array> {
  let left = bytes
  if (left === 0) return
  for await (const chunk of source) {
    yield chunk.subarray(0, left)
    left -= Math.min(left, chunk.byteLength)
    if (left === 0) return
  }
}

/** Request lines from a number on; blank lines are not counted and do not appear before the first one. */
async function inputLines(blobs: Blobs, file: StoredFile, fromLine: number): Promise<LineContent> {
  const lines = file.inspection?.lines ?? 0
  const first = Math.min(fromLine, lines)
  let start = first === 0 ? 0 : file.bytes
  if (first > 0 && first < lines) {
    const [entry] = await createLineReader(blobs, file).entries(first, first + 1)
    start = entry?.lineOffset ?? file.bytes
  }
  return {
    file,
    lastLine: fromLine + lines - first,
    isIncomplete: false,
    bytes: file.bytes - start,
    body: readExtents(blobs, file, { start, end: file.bytes }),
  }
}

async function* readExtents(
  blobs: Blobs,
  file: StoredFile,
  range: { start: number; end: number },
): AsyncIterable<Uint8Array> {
  let before = 0
  for (const extent of file.extents) {
    const start = Math.max(0, range.start - before)
    const end = Math.min(extent.bytes, range.end - before)
    if (start < end)
      yield* blobs.read(extent.blob, { start: extent.offset + start, end: extent.offset + end })
    before += extent.bytes
  }
}
