/**
 * Ends batches. Every line that has no record gets its closing line, then the terminal state is stored together with the rows
 * of the result files. Each step may be repeated after a crash: the bitmap knows which lines have their record.
 */
import type { Blobs } from '../blobs/blobs.ts'
import type { Tally } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import { CLOSING_LINES_UNSYNCED_MAX, WINDOW_LINES_MAX } from '../domain/limits.ts'
import { hasBit } from '../lib/bitmap.ts'
import type { Clock } from '../lib/clock.ts'
import { assert } from '../lib/errors.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Batch, Store } from '../store/store.ts'
import { findModels } from './line-models.ts'
import type { LiveBatch } from './live-batch.ts'
import type { Recorder } from './recorder.ts'
import { closingErrors } from './result-line.ts'
import { foldUsage } from './usage.ts'

export type CloserParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  recorder: Recorder
  clock: Clock
  cancelGraceMs: number
}

/** All lines are recorded: makes them final and stores `completed`. */
export async function complete(live: LiveBatch, parts: CloserParts): Promise<void> {
  await end(live, 'completed', parts)
}

/** The deadline has passed: calls in flight are cut, what is unanswered expires. */
export async function expire(live: LiveBatch, parts: CloserParts): Promise<void> {
  const isMoved = await parts.store.batches.finalize(live.batch.id, {
    endsAs: 'expired',
    at: parts.clock.now(),
  })
  if (!isMoved && (await isCancelling(live, parts))) return cancel(live, parts)
  for (const call of live.calls.items()) call.cut('the completion window has ended')
  await idle(live)
  await recordRest(live, 'expired', parts)
  await end(live, 'expired', parts)
}

/** A cancel was accepted: calls in flight get a grace, then are cut. */
export async function cancel(live: LiveBatch, parts: CloserParts): Promise<void> {
  const cancelGrace = parts.clock.after(parts.cancelGraceMs, () => {
    for (const call of live.calls.items()) call.cut('the batch was cancelled')
  })
  await idle(live)
  cancelGrace()
  await recordRest(live, 'cancelled', parts)
  await end(live, 'cancelled', parts)
}

/** Resolves when no call of the batch is in flight. */
function idle(live: LiveBatch): Promise<void> {
  if (live.calls.size === 0) return Promise.resolve()
  return new Promise((resolve) => {
    live.onIdle = resolve
  })
}

async function recordRest(live: LiveBatch, as: 'expired' | 'cancelled', parts: CloserParts): Promise<void> {
  assert(live.reader !== null, 'a batch that is closed has been opened')
  const total = live.batch.linesTotal
  let unsynced = 0
  for (let from = 0; from < total; from += WINDOW_LINES_MAX) {
    if (live.recordedLines === total) return
    const entries = await live.reader.entries(from, Math.min(total, from + WINDOW_LINES_MAX))
    const open = entries.filter((entry) => !hasBit(live.recorded, entry.lineIndex))
    for (const line of await live.reader.customIds(open)) {
      parts.recorder.recordUnanswered(
        live,
        { ...line, calls: 0, startedAt: null },
        { outcome: as, ...closingErrors[as] },
      )
    }
    unsynced += open.length
    if (unsynced < CLOSING_LINES_UNSYNCED_MAX) continue
    await parts.results.flush(live.batch.seq)
    unsynced = 0
  }
}

async function end(
  live: LiveBatch,
  as: 'completed' | 'expired' | 'cancelled',
  parts: CloserParts,
): Promise<void> {
  const { results, store } = parts
  const [tally, models] = await Promise.all([results.seal(live.batch.seq), findModels(live.batch, parts)])
  const usage = await foldUsage(live.batch, { results, models })
  const at = parts.clock.now()
  const files: StoredFile[] = []
  if (tally.outputLines > 0) files.push(resultFile(live.batch, 'output', tally, at))
  if (tally.errorLines > 0) files.push(resultFile(live.batch, 'error', tally, at))
  const isEnded = await store.batches.end(live.batch.id, { as, tally, at, files, usage })
  // A cancel that was accepted after the last line still ends as cancelled.
  if (!isEnded && as !== 'cancelled' && (await isCancelling(live, parts))) await end(live, 'cancelled', parts)
}

async function isCancelling(live: LiveBatch, parts: CloserParts): Promise<boolean> {
  const row = await parts.store.batches.get(live.batch.id, null)
  return row?.status === 'cancelling'
}

/** The row of a batch's output or error file. */
export function resultFile(batch: Batch, kind: 'output' | 'error', tally: Tally, at: number): StoredFile {
  return {
    id: kind === 'output' ? batch.outputFileIdReserved : batch.errorFileIdReserved,
    tenantId: batch.tenantId,
    filename: `${batch.id}_${kind}.jsonl`,
    purpose: 'batch_output',
    createdAt: at,
    expiresAt: batch.outputExpiresAfterSeconds === null ? null : at + batch.outputExpiresAfterSeconds * 1000,
    deletedAt: null,
    kind,
    bytes: kind === 'output' ? tally.outputBytes : tally.errorBytes,
    extents: [],
    inspection: null,
    batchId: batch.id,
  }
}
