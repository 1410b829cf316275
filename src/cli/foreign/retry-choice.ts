/**
 * Decides which requests of an ended batch run again, from its input, output and error files: those without a success anywhere. Ids lie
 * in a temporary file and marks in pages, so that memory is flat for any number of lines.
 */

import { type FailureMatcher, failureOfRow } from '../../domain/failure.ts'
import type { Desk } from '../../jsonl/tools/desk.ts'
import { createIdLedger } from '../../jsonl/tools/id-ledger.ts'
import { createPagedNumbers } from '../../jsonl/tools/paged-numbers.ts'
import { customIdOf, type ParsedLine } from '../../jsonl/tools/parse-line.ts'
import { type Outcome, outcomeOf } from './outcome.ts'

export type Row = { lineNumber: number; parsed: ParsedLine | null }

export type RetryChoice = {
  /** Requests of the input by what became of them. */
  counts: Readonly<Record<Outcome | 'missing', number>>
  /** Requests that run again. */
  chosen: number
  /** Result lines that cannot be read, and those whose id no request has. */
  unreadable: number
  unknown: number
  /** Requests that cannot be told apart by their id, or have none. */
  unusable: number
  isChosen(lineNumber: number): boolean
  /** Leaves nothing behind. */
  close(): void
}

export type ChoiceOptions = {
  desk: Desk
  input: AsyncIterable<Row>
  results: readonly AsyncIterable<Row>[]
  /** What a request without any line is: the service may have left it out on purpose. */
  missingAs: 'missing' | 'expired' | 'cancelled'
  includeCancelled: boolean
  /** Only requests with a failure of these kinds run again, whatever it is called; null: by their outcome. */
  groups: FailureMatcher | null
}

/** Marks of a line; of several results of one request the highest counts. 0 is no request. */
const MISSING = 1
const marks: Readonly<Record<Outcome, number>> = { cancelled: 2, expired: 3, failed: 4, succeeded: 6 }
/** A failure of a kind that was named. */
const NAMED = 5
const UNUSABLE = 7

/** @throws TroubleError, and what reading throws */
export async function chooseRetry(options: ChoiceOptions): Promise<RetryChoice> {
  const { desk } = options
  /** By number over all files: those of the input first. */
  const markAt = createPagedNumbers(desk, 'u8')
  const ledger = createIdLedger(desk)
  try {
    const inputLines = await addRows(options.input, 0, (row, number) => {
      const id = row.parsed === null ? null : customIdOf(row.parsed.value, () => undefined)
      markAt.set(number, id === null ? UNUSABLE : MISSING)
      if (id !== null) ledger.add(id, number)
    })
    let unreadable = 0
    let readable = 0
    let last = inputLines
    for (const results of options.results) {
      last = await addRows(results, last, (row, number) => {
        const id = row.parsed === null ? null : customIdOf(row.parsed.value, () => undefined)
        if (row.parsed === null || id === null) {
          unreadable += 1
          return
        }
        readable += 1
        const isNamed = options.groups?.test(failureOfRow(row.parsed.value)) ?? false
        const mark = marks[outcomeOf(row.parsed.value)]
        markAt.set(number, isNamed && mark !== marks.succeeded ? NAMED : mark)
        ledger.add(id, number)
      })
    }
    let known = 0
    ledger.report(({ number, firstNumber }) => {
      if (firstNumber > inputLines) return
      if (number <= inputLines) return markAt.set(number, UNUSABLE)
      known += 1
      markAt.set(firstNumber, Math.max(markAt.get(firstNumber), markAt.get(number)))
    })
    return { ...summed(markAt, inputLines, options), unreadable, unknown: readable - known }
  } catch (thrown) {
    markAt.close()
    throw thrown
  } finally {
    ledger.close()
  }
}

/** @returns the number of the last line */
async function addRows(
  rows: AsyncIterable<Row>,
  before: number,
  add: (row: Row, number: number) => void,
): Promise<number> {
  let last = before
  for await (const row of rows) {
    last = before + row.lineNumber
    add(row, last)
  }
  return last
}

function summed(
  markAt: ReturnType<typeof createPagedNumbers>,
  inputLines: number,
  { missingAs, includeCancelled, groups }: ChoiceOptions,
): Pick<RetryChoice, 'counts' | 'chosen' | 'unusable' | 'isChosen' | 'close'> {
  const nameOf = (mark: number): Outcome | 'missing' | null => {
    if (mark === MISSING) return missingAs
    if (mark === NAMED) return 'failed'
    const [found] = Object.entries(marks).find(([, value]) => value === mark) ?? []
    // The keys of the table are outcomes.
    return (found as Outcome | undefined) ?? null
  }
  const names = Array.from({ length: UNUSABLE + 1 }, (_, mark) => nameOf(mark))
  const isRetried = (mark: number): boolean => {
    if (groups !== null) return mark === NAMED
    const name = names[mark]
    return (
      name === 'failed' ||
      name === 'expired' ||
      name === 'missing' ||
      (name === 'cancelled' && includeCancelled)
    )
  }
  const counts = { succeeded: 0, failed: 0, expired: 0, cancelled: 0, missing: 0 }
  let [chosen, unusable] = [0, 0]
  for (let lineNumber = 1; lineNumber <= inputLines; lineNumber += 1) {
    const mark = markAt.get(lineNumber)
    const name = names[mark] ?? null
    if (mark === UNUSABLE) unusable += 1
    if (name !== null) counts[name] += 1
    if (isRetried(mark)) chosen += 1
  }
  return {
    ...{ counts, chosen, unusable },
    isChosen: (lineNumber) => isRetried(markAt.get(lineNumber)),
    close: () => markAt.close(),
  }
}
