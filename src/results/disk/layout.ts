import { join } from 'node:path'
import type { ResultFileKind } from '../result-log.ts'

/** Names below the folder of the result log. */
export type Layout = ReturnType<typeof layoutOf>

export function layoutOf(folder: string) {
  const log = join(folder, 'log')
  const batches = join(folder, 'batches')
  const batch = (seq: number): string => join(batches, digits(seq))
  return {
    folder,
    log,
    batches,
    batch,
    ballast: join(folder, 'ballast'),
    checkpoint: join(log, 'checkpoint'),
    checkpointNext: join(log, 'checkpoint.next'),
    /** Says that the log was damaged; present until the batches that it may concern are marked. */
    loss: join(log, 'damaged'),
    segment: (number: number) => join(log, `${digits(number)}.log`),
    /** Number of a segment by its file name, or null for another file. */
    segmentNumber: (name: string) => (/^\d{12}\.log$/.test(name) ? Number(name.slice(0, 12)) : null),
    /** Says why a batch's results are damaged; present for as long as they are. */
    damage: (seq: number) => join(batch(seq), 'damaged'),
    records: (seq: number) => join(batch(seq), 'records'),
    lines: (seq: number, kind: ResultFileKind) => join(batch(seq), `${kind}.jsonl`),
  }
}

function digits(number: number): string {
  return String(number).padStart(12, '0')
}
