/** A new batch of the lines of an ended one that failed or expired, from a real input file that holds just those lines byte for byte. */
import type { Blobs } from '../blobs/blobs.ts'
import { blobNames } from '../blobs/blobs.ts'
import { type Batch, type Endpoint, isEnded, isEndpoint, type Outcome } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import { WINDOW_LINES_MAX } from '../domain/limits.ts'
import { hasBit, newBitmap, setBit } from '../lib/bitmap.ts'
import { assert, RefusedError } from '../lib/errors.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { createLineReader, type IndexedLine } from './line-reader.ts'
import type { NewBatchRequest, Upload } from './service.ts'

export type RetryParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  beginUpload: (tenantId: string) => Promise<Upload>
  createBatch: (
    tenantId: string,
    request: NewBatchRequest,
    origin: { retryOf: string | null },
  ) => Promise<Batch>
}

const NEWLINE = Buffer.from('\n')

export async function retryBatch(
  parts: RetryParts,
  tenantId: string,
  request: { id: string; includeCancelled: boolean; idempotencyKey: string | null },
): Promise<Batch | null> {
  const origin = await parts.store.batches.get(request.id, tenantId)
  if (origin === null) return null
  requireEnded(origin)
  const live = (await parts.store.batches.children(origin.id)).find((child) => !isEnded(child.status))
  if (live !== undefined) return live
  const selected = await selectLines(parts.results, origin, request.includeCancelled)
  if (selected.lines === 0) throw nothingToRetry(origin, request.includeCancelled)
  const input = await parts.store.files.getEvenDeleted(origin.inputFileId)
  if (input === null) {
    throw new RefusedError(
      'input_gone',
      `The input file ${origin.inputFileId} of batch ${origin.id} was deleted: upload it again to run it.`,
      { status: 409 },
    )
  }
  const file = await uploadLines(parts, { origin, input, bitmap: selected.bitmap })
  return parts.createBatch(
    tenantId,
    {
      inputFileId: file.id,
      endpoint: requireEndpoint(origin.endpoint),
      window: origin.window,
      metadata: origin.metadata === null ? null : { ...origin.metadata },
      outputExpiresAfterSeconds: origin.outputExpiresAfterSeconds,
      // The new file's id differs at each try; that no two children live at once is the store's guard.
      idempotencyKey: null,
    },
    { retryOf: origin.id },
  )
}

async function selectLines(
  results: ResultLog,
  origin: Batch,
  includeCancelled: boolean,
): Promise<{ bitmap: Uint8Array; lines: number }> {
  const wanted: ReadonlySet<Outcome> = new Set(
    includeCancelled ? ['failed', 'expired', 'cancelled'] : ['failed', 'expired'],
  )
  const bitmap = newBitmap(origin.linesTotal)
  let lines = 0
  for await (const records of results.records(origin.seq)) {
    for (const record of records) {
      if (!wanted.has(record.outcome)) continue
      setBit(bitmap, record.lineIndex)
      lines += 1
    }
  }
  return { bitmap, lines }
}

async function uploadLines(
  parts: RetryParts,
  source: { origin: Batch; input: StoredFile; bitmap: Uint8Array },
): Promise<StoredFile> {
  const { origin, input, bitmap } = source
  const upload = await parts.beginUpload(origin.tenantId)
  try {
    const reader = createLineReader(parts.blobs, input)
    for (let from = 0; from < origin.linesTotal; from += WINDOW_LINES_MAX) {
      const entries = await reader.entries(from, Math.min(origin.linesTotal, from + WINDOW_LINES_MAX))
      for (const entry of entries)
        if (hasBit(bitmap, entry.lineIndex)) await copyLine(parts.blobs, input, entry, upload)
    }
    return await upload.finish({
      filename: `${origin.id}_retry.jsonl`,
      purpose: 'batch',
      expiresAfterSeconds: null,
    })
  } catch (thrown) {
    await upload.abort()
    throw thrown
  }
}

async function copyLine(blobs: Blobs, input: StoredFile, entry: IndexedLine, upload: Upload): Promise<void> {
  const range = { start: entry.lineOffset, end: entry.lineOffset + entry.lineBytes }
  for await (const chunk of blobs.read(blobNames.data(input.id), range)) await upload.write(chunk)
  await upload.write(NEWLINE)
}

function requireEnded(origin: Batch): void {
  if (!isEnded(origin.status)) {
    throw new RefusedError(
      'batch_running',
      `Batch ${origin.id} is still ${origin.status}: retry it once it has ended, or cancel it first.`,
      { status: 409 },
    )
  }
  if (origin.status === 'failed') {
    throw new RefusedError(
      'nothing_to_retry',
      `Batch ${origin.id} did not validate, so nothing ran: mend the file and create a new batch.`,
      { status: 409 },
    )
  }
}

function nothingToRetry(origin: Batch, includeCancelled: boolean): RefusedError {
  const hasCancelled = origin.tally.cancelled > 0 && !includeCancelled
  const hint = hasCancelled
    ? ` It has ${origin.tally.cancelled} cancelled lines: ask for them with include_cancelled.`
    : ''
  return new RefusedError('nothing_to_retry', `Batch ${origin.id} has no failed or expired lines.${hint}`, {
    status: 409,
  })
}

function requireEndpoint(text: string): Endpoint {
  assert(isEndpoint(text), `batch endpoint ${text} was checked at its creation`)
  return text
}
