/** Which lines of an ended batch a retry takes: all that failed or expired, or those of the groups of failures that were named. */
import type { Batch, Outcome } from '../domain/batch.ts'
import { createFailureMatcher, failureOf } from '../domain/failure.ts'
import { type Line, readLines } from '../jsonl/tools/lines.ts'
import { newBitmap, setBit } from '../lib/bitmap.ts'
import { assert, RefusedError } from '../lib/errors.ts'
import type { LineRecord } from '../results/record.ts'
import type { ResultLog } from '../results/result-log.ts'

export type Selection = {
  includeCancelled: boolean
  /** Ids of groups of failures, sorted, each once; null for all. */
  groups: readonly string[] | null
}

export type Selected = { bitmap: Uint8Array; lines: number }

/** @throws RefusedError `unknown_group` (400) when a named group has no line */
export async function selectLines(results: ResultLog, origin: Batch, wanted: Selection): Promise<Selected> {
  const selected = { bitmap: newBitmap(origin.linesTotal), lines: 0 }
  // A batch that was cancelled before it started has no records.
  const records: Records = origin.inProgressAt === null ? [] : results.records(origin.seq)
  const found =
    wanted.groups === null
      ? byOutcome(records, wanted.includeCancelled)
      : byGroup(records, { results, origin, groups: wanted.groups })
  for await (const lineIndex of found) {
    setBit(selected.bitmap, lineIndex)
    selected.lines += 1
  }
  return selected
}

type Records = AsyncIterable<readonly LineRecord[]> | readonly LineRecord[][]

async function* byOutcome(records: Records, includeCancelled: boolean): AsyncGenerator<number> {
  const wanted: ReadonlySet<Outcome> = new Set(
    includeCancelled ? ['failed', 'expired', 'cancelled'] : ['failed', 'expired'],
  )
  for await (const page of records)
    for (const { lineIndex, outcome } of page) if (wanted.has(outcome)) yield lineIndex
}

type GroupSource = { results: ResultLog; origin: Batch; groups: readonly string[] }

/** The lines of the error file stand in the order of their records, so that both are read side by side. */
async function* byGroup(records: Records, source: GroupSource): AsyncGenerator<number> {
  const lines = errorLines(source)
  const matcher = createFailureMatcher(source.groups)
  for await (const page of records) {
    for (const { lineIndex, outcome, position } of page) {
      if (outcome === 'succeeded') continue
      const { value: line } = await lines.next()
      assert(line?.offset === position, `line ${lineIndex} of batch ${source.origin.id} has its error line`)
      if (matcher.test(line.bytes === null ? null : failureOf(line.bytes.toString('utf8')))) yield lineIndex
    }
  }
  const [unknown] = matcher.unmet()
  if (unknown !== undefined)
    throw new RefusedError(
      'unknown_group',
      `No failed line of batch ${source.origin.id} is in group '${unknown}'.`,
      { param: 'groups' },
    )
}

async function* errorLines({ results, origin }: GroupSource): AsyncGenerator<Line, undefined> {
  const plan = await results.plan(origin.seq, 'error', 0)
  for await (const lines of readLines(results.readRange(plan.source, plan))) yield* lines
  return undefined
}
