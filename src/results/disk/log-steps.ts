/** What the log thread does with single batches, on an injected disk. The files of a batch are touched here and by the log alone. */
import { recordedLines } from '../../domain/batch.ts'
import type { Disk } from '../../lib/disk.ts'
import { TroubleError } from '../../lib/errors.ts'
import type { OpenedResults, ResultFileKind } from '../result-log.ts'
import type { Layout } from './layout.ts'
import { scanRecords } from './record-scan.ts'
import { markDamaged, type Recovered } from './recovery.ts'

export type LogState = { disk: Disk; layout: Layout; recovered: Recovered }

/** @throws TroubleError `damaged` with the reason */
export function openBatch(state: LogState, batch: { seq: number; linesTotal: number }): OpenedResults {
  const { disk, layout } = state
  const { log, damaged } = state.recovered
  log.files.flush(batch.seq)
  const reason = damaged.get(batch.seq)
  if (reason !== undefined) throw new TroubleError('damaged', reason)
  const scanned = scanRecords(disk, layout, batch)
  if ('damage' in scanned) throw new TroubleError('damaged', scanned.damage)
  const records = recordedLines(scanned.tally)
  if (log.files.sizes(batch.seq).records !== records) {
    const { outputBytes, errorBytes } = scanned.tally
    const mismatch = log.files.reset(batch.seq, { records, outputBytes, errorBytes })
    if (mismatch !== null) throw new TroubleError('damaged', mismatch)
  }
  return scanned
}

/**
 * @param seqs batches that may have lines. Where the log was damaged, those of them that it does not name may have lost all they had.
 * @returns batches that nobody will seal again: they ended just before a crash and were recovered with their lines
 */
export function retain(state: LogState, seqs: ReadonlySet<number>): number[] {
  const { disk, layout, recovered } = state
  const whole = recovered.log.files.all()
  if (recovered.loss !== null) {
    for (const seq of seqs) {
      if (whole.has(seq) || recovered.damaged.has(seq)) continue
      markDamaged(disk, layout, { seq, reason: recovered.loss })
      recovered.damaged.set(seq, recovered.loss)
    }
    disk.remove(layout.loss)
    disk.syncFolder(layout.log)
    recovered.loss = null
  }
  return [...whole.keys()].filter((seq) => !seqs.has(seq))
}

/** Call right behind a checkpoint: nothing of the file may be in the log, or a recovery would write it again. */
export function removeFile(state: LogState, file: { seq: number; kind: ResultFileKind }): void {
  const { disk, layout } = state
  const path = layout.lines(file.seq, file.kind)
  if (!disk.exists(path)) return
  disk.remove(path)
  disk.syncFolder(layout.batch(file.seq))
}
