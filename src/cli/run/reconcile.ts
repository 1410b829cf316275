/**
 * Holds every result against every request, by `custom_id`: each request ends with exactly one line. Ids lie in a temporary file and marks
 * in pages, so that memory is flat for any number of lines.
 */
import type { Desk } from '../../jsonl/tools/desk.ts'
import { createIdLedger } from '../../jsonl/tools/id-ledger.ts'
import { createPagedNumbers } from '../../jsonl/tools/paged-numbers.ts'
import { assert } from '../../lib/errors.ts'
import type { Outcome } from '../foreign/outcome.ts'

export type Reconciler = {
  /** All requests, in their order, before the first result. @throws TroubleError */
  addRequest(customId: string): void
  addResult(customId: string, outcome: Outcome): void
  /** To be called once, after the last result. @throws TroubleError */
  settle(): Settled
  /** Leaves nothing behind. */
  close(): void
}

export type Settled = {
  requests: number
  /** Requests without a line anywhere. */
  missing: number
  /** Lines whose request has an earlier one. */
  duplicates: number
  /** Lines of no request. */
  unknown: number
  /** @param requestIndex from 0, in the order of `addRequest` */
  isMissing(requestIndex: number): boolean
  /** Requests with a line, by what it says. */
  counts: Readonly<Record<Outcome, number>>
  /** For each line with one of these outcomes, in order, whether it is the one line of its request. */
  kept(outcomes: readonly Outcome[]): Generator<boolean>
}

const ANSWERED = 1
const outcomeMarks: Readonly<Record<Outcome, number>> = { succeeded: 2, failed: 4, expired: 8, cancelled: 16 }
const KEPT = 32
// The keys of the table are outcomes.
export const outcomes = Object.keys(outcomeMarks) as readonly Outcome[]

export function createReconciler(desk: Desk): Reconciler {
  const ledger = createIdLedger(desk)
  /** By number: requests from 1, then results. */
  const marks = createPagedNumbers(desk, 'u8')
  let requests = 0
  let last = 0
  return {
    addRequest(customId) {
      assert(last === requests, 'requests come before results')
      requests += 1
      last += 1
      ledger.add(customId, last)
    },
    addResult(customId, outcome) {
      last += 1
      marks.set(last, outcomeMarks[outcome])
      ledger.add(customId, last)
    },
    settle() {
      let [answered, duplicates, known] = [0, 0, 0]
      const counts = { succeeded: 0, failed: 0, expired: 0, cancelled: 0 }
      // Of one id its numbers come in their order.
      ledger.report(({ number, firstNumber }) => {
        if (number <= requests || firstNumber > requests) return
        known += 1
        const isFirst = marks.get(firstNumber) !== ANSWERED
        if (!isFirst) {
          duplicates += 1
          return
        }
        answered += 1
        marks.set(firstNumber, ANSWERED)
        const mark = marks.get(number)
        for (const outcome of outcomes) if (mark === outcomeMarks[outcome]) counts[outcome] += 1
        marks.set(number, mark | KEPT)
      })
      return {
        requests,
        missing: requests - answered,
        duplicates,
        unknown: last - requests - known,
        counts,
        isMissing: (requestIndex) => marks.get(requestIndex + 1) !== ANSWERED,
        *kept(wanted) {
          const wantedMarks = wanted.reduce((sum, outcome) => sum | outcomeMarks[outcome], 0)
          for (let number = requests + 1; number <= last; number += 1) {
            const mark = marks.get(number)
            if ((mark & wantedMarks) !== 0) yield (mark & KEPT) !== 0
          }
        },
      }
    },
    close() {
      ledger.close()
      marks.close()
    },
  }
}
