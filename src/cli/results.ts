/** Puts the result files of several batches together and counts what was really read against what the batches say. */
import type { WireBatch } from '../contract/wire.ts'
import { type Counted, countLines, tapLines } from './results-content.ts'
import type { Sink } from './results-sink.ts'
import { type FailureGroups, failureOf } from './summary-groups.ts'
import { type Standing, standingOf } from './summary-outcome.ts'

export type ResultsOptions = {
  /** The bytes of a file, whole, in the order that fits the batch. */
  read(fileId: string, batch: WireBatch): AsyncIterable<Uint8Array>
  answers: Sink
  errors: Sink
  groups: FailureGroups
}

/** Lines that were read, by what they are. */
export type Read = {
  succeeded: number
  failed: number
  /** Lines that the deadline or a cancel left without an answer. */
  unanswered: number
}

export type BatchResults = {
  batch: WireBatch
  standing: Standing
  read: Read
  /** Requests of an ended batch with no line anywhere; negative when there are more lines than requests. */
  missing: number
}

const unansweredCodes: ReadonlySet<string> = new Set(['batch_expired', 'batch_cancelled'])

/** Copies the results of one batch to the sinks. Batches stay apart: the same `custom_id` in two of them is two lines. */
export async function copyResults(batch: WireBatch, options: ResultsOptions): Promise<BatchResults> {
  const { read, answers, errors, groups } = options
  const succeeded: Counted = { lines: 0 }
  const faulty: Counted = { lines: 0 }
  let unanswered = 0
  // The ids may be absent where a server leaves out what is null.
  if (batch.output_file_id) await drain(countLines(read(batch.output_file_id, batch), succeeded), answers)
  if (batch.error_file_id) {
    const lines = countLines(read(batch.error_file_id, batch), faulty)
    const onLine = (line: string): void => {
      const failure = failureOf(line)
      if (failure === null) return
      if (failure.code !== null && unansweredCodes.has(failure.code)) unanswered += 1
      groups.add(failure)
    }
    await drain(tapLines(lines, onLine), errors)
  }
  const standing = standingOf(batch)
  return {
    batch,
    standing,
    read: { succeeded: succeeded.lines, failed: faulty.lines - unanswered, unanswered },
    missing: standing.isEnded ? standing.total - succeeded.lines - faulty.lines : 0,
  }
}

async function drain(source: AsyncIterable<Uint8Array>, sink: Sink): Promise<void> {
  for await (const chunk of source) await sink.write(chunk)
}

/** What was read, as a standing: the exit code follows from it, not from what the server counted. */
export function standingAsRead({ standing, read, missing }: BatchResults): Standing {
  if (!standing.isEnded) return standing
  return {
    ...standing,
    succeeded: read.succeeded,
    failed: read.failed,
    unanswered: read.unanswered,
    missing: Math.abs(missing),
  }
}
