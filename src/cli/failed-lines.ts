/** The failed lines of a batch as they stream by, wherever its service wrote them. Memory is a chunk and a line. */
import type { WireBatch } from '../contract/wire.ts'
import { type Failure, failureOfRow } from '../domain/failure.ts'
import { readLines } from '../jsonl/tools/lines.ts'
import { parseLine } from '../jsonl/tools/parse-line.ts'
import { contentOf, type Service } from './foreign/content.ts'
import { outcomeOf } from './foreign/outcome.ts'
import type { FailurePlace } from './summary-groups.ts'
import { extrasOf, standingOf } from './summary-outcome.ts'

export type FailedLine = {
  /** Without its line end; null for one that is too long to be held. Good until the next one is asked for. */
  bytes: Buffer | null
  /** Null: the line cannot be read, so that nobody knows what failed. */
  failure: Failure | null
  place: FailurePlace
}

/** @throws ApiError, UnreachableError */
export async function* failedLines(service: Service, batch: WireBatch): AsyncGenerator<FailedLine> {
  let found = 0
  // The ids are absent where a service leaves out what is null.
  if (batch.error_file_id) {
    for await (const line of linesOf(service, batch.error_file_id)) {
      found += 1
      yield line
    }
  }
  const { failed, unanswered } = standingOf(batch)
  // Ours keeps successes and failures apart; some services leave a refused request among the answers.
  if (extrasOf(batch) !== null || !batch.output_file_id || found >= failed + unanswered) return
  for await (const line of linesOf(service, batch.output_file_id)) if (line.failure !== null) yield line
}

/** Lines of a file that are no success. */
async function* linesOf(service: Service, fileId: string): AsyncGenerator<FailedLine> {
  for await (const lines of readLines(contentOf(service, fileId))) {
    for (const line of lines) {
      const value = parseLine(line, () => undefined)?.value ?? null
      if (value !== null && outcomeOf(value) === 'succeeded') continue
      const customId = typeof value?.custom_id === 'string' ? value.custom_id : null
      const place = { lineNumber: line.lineNumber, customId }
      yield { bytes: line.bytes, failure: value === null ? null : failureOfRow(value), place }
    }
  }
}
