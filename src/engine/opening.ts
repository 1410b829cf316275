/** Brings a live batch from its row into memory: validated, its results recovered, its input readable. */
import type { Blobs } from '../blobs/blobs.ts'
import { recordedLines } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import type { Clock } from '../lib/clock.ts'
import { TroubleError } from '../lib/errors.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import { createLineReader } from './line-reader.ts'
import type { LiveBatch } from './live-batch.ts'
import { validateBatch } from './validation.ts'

export type Opened =
  | { kind: 'opened' }
  /** Its terminal state is stored. */
  | { kind: 'ended' }
  /** Another move came first: begin again from the row. */
  | { kind: 'overtaken' }
  | { kind: 'damaged'; reason: string }
  /** Another version of the program can go on with it: nothing about it is stored. */
  | { kind: 'held' }

export type OpeningParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  clock: Clock
  isUnknownModel: (model: string) => boolean
}

export async function openBatch(live: LiveBatch, parts: OpeningParts): Promise<Opened> {
  const { store, results, clock } = parts
  // A batch that is cancelled before it started has no lines, counts of 0 and no files.
  if (live.batch.status === 'cancelling' && live.batch.inProgressAt === null) {
    await store.batches.end(live.batch.id, { as: 'cancelled', tally: live.tally, at: clock.now(), files: [] })
    return { kind: 'ended' }
  }
  const file = await store.files.getEvenDeleted(live.batch.inputFileId)
  if (live.batch.status === 'validating') {
    const validated = await validate(live, file, parts)
    if (validated.kind !== 'opened') return validated
  }
  if (file === null) return { kind: 'damaged', reason: `the input file ${live.batch.inputFileId} is gone` }
  live.file = file
  live.reader = createLineReader(parts.blobs, file)
  try {
    const [, opened] = await Promise.all([
      live.reader.check(),
      results.open(live.batch.seq, live.batch.linesTotal),
    ])
    live.recorded = opened.recorded
    live.tally = opened.tally
    live.recordedLines = recordedLines(opened.tally)
    live.isTallyDirty = true
    return { kind: 'opened' }
  } catch (thrown) {
    if (thrown instanceof TroubleError && thrown.code === 'damaged')
      return { kind: 'damaged', reason: thrown.message }
    if (thrown instanceof TroubleError && thrown.code === 'unsupported') {
      live.holdReason = thrown.message
      return { kind: 'held' }
    }
    throw thrown
  }
}

async function validate(live: LiveBatch, file: StoredFile | null, parts: OpeningParts): Promise<Opened> {
  const { store, blobs, clock } = parts
  const isHidden = file !== null && file.deletedAt !== null && file.deletedAt < live.batch.createdAt
  const verdict = await validateBatch(live.batch, isHidden ? null : file, {
    reader: (found) => createLineReader(blobs, found),
    isUnknownModel: parts.isUnknownModel,
  })
  const at = clock.now()
  if (!verdict.isValid) {
    const isFailed = await store.batches.fail(live.batch.id, { ...verdict, at })
    return { kind: isFailed ? 'ended' : 'overtaken' }
  }
  const { lines, model } = verdict
  if (!(await store.batches.start(live.batch.id, { linesTotal: lines, model, at })))
    return { kind: 'overtaken' }
  live.batch = { ...live.batch, status: 'in_progress', inProgressAt: at, linesTotal: lines, model }
  return { kind: 'opened' }
}
