/** Turns the end of a line into its one record and result line. The bitmap decides: the first end wins, a later one changes nothing. */

import type { Outcome } from '../domain/batch.ts'
import { lineHash } from '../domain/ids.ts'
import { NO_UPSTREAM } from '../domain/usage.ts'
import { hasBit, setBit } from '../lib/bitmap.ts'
import type { Clock } from '../lib/clock.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { StartedCall } from './dispatcher.ts'
import type { LineRequest } from './lane.ts'
import type { LiveBatch } from './live-batch.ts'
import { answeredLine, type LineParts, unansweredLine } from './result-line.ts'
import type { LineCallEnd } from './upstream.ts'

export type Ends = Record<Outcome, number>

export class Recorder {
  readonly ends: Ends = { succeeded: 0, failed: 0, expired: 0, cancelled: 0 }
  readonly #results: ResultLog
  readonly #clock: Clock
  /** All lines of the batch have been handed to the log. */
  readonly #onAllRecorded: (live: LiveBatch) => void

  constructor(parts: { results: ResultLog; clock: Clock; onAllRecorded: (live: LiveBatch) => void }) {
    this.#results = parts.results
    this.#clock = parts.clock
    this.#onAllRecorded = parts.onAllRecorded
  }

  /** A success, a refusal, or the last of too many doubtful ends. */
  recordAnswer(started: StartedCall, end: LineCallEnd): void {
    const { live, request, lane } = started
    const line = { hash: started.hash, customId: request.customId }
    const parts =
      end.answer === null
        ? unansweredLine(line, {
            code: 'upstream_failed',
            message: `No answer after ${request.calls} calls: ${end.reason}`,
          })
        : answeredLine(line, end.answer, started.requestId)
    const isNew = this.#record(live, request, parts, {
      outcome: end.verdict === 'succeeded' ? 'succeeded' : 'failed',
      httpStatus: end.answer?.status ?? 0,
      usage: end.answer?.usage ?? null,
      upstreamMs: end.upstreamMs,
      firstByteMs: end.firstByteMs,
      upstreamNumber: started.upstream.settings.number,
    })
    if (isNew) lane.linesLeft -= 1
  }

  recordUnanswered(
    live: LiveBatch,
    request: Pick<LineRequest, 'lineIndex' | 'customId' | 'calls' | 'startedAt'>,
    end: { outcome: Exclude<Outcome, 'succeeded'>; code: string; message: string },
  ): void {
    const hash = lineHash(live.batch.id, request.lineIndex)
    this.#record(live, request, unansweredLine({ hash, customId: request.customId }, end), {
      outcome: end.outcome,
      httpStatus: 0,
      usage: null,
      upstreamMs: 0,
      firstByteMs: 0,
      upstreamNumber: NO_UPSTREAM,
    })
  }

  #record(
    live: LiveBatch,
    request: Pick<LineRequest, 'lineIndex' | 'calls' | 'startedAt'>,
    parts: LineParts,
    facts: Pick<
      Parameters<ResultLog['append']>[1],
      'outcome' | 'httpStatus' | 'usage' | 'upstreamMs' | 'firstByteMs' | 'upstreamNumber'
    >,
  ): boolean {
    if (hasBit(live.recorded, request.lineIndex)) return false
    setBit(live.recorded, request.lineIndex)
    live.recordedLines += 1
    this.ends[facts.outcome] += 1
    const recordedAt = this.#clock.now()
    this.#results.append(
      live.batch.seq,
      {
        lineIndex: request.lineIndex,
        attempts: request.calls,
        startedAt: request.startedAt ?? recordedAt,
        recordedAt,
        ...facts,
      },
      parts,
    )
    if (live.recordedLines === live.batch.linesTotal) this.#onAllRecorded(live)
    return true
  }
}
