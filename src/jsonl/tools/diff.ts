/**
 * Compares two files by custom_id. Both are read twice: once for their ids, once for what their lines say. Memory is flat; ids and
 * places of lines go to temporary files.
 */
import { createFindingList, type FindingList } from '../finding-list.ts'
import { isObject, type JsonObject } from '../prompt-bytes.ts'
import { quote } from '../request-rules.ts'
import { differingPaths, parseExactly, VOLATILE_PATHS } from './compare.ts'
import type { Desk } from './desk.ts'
import { createIdLedger } from './id-ledger.ts'
import { createLinePlaces, type LinePlaces } from './line-places.ts'
import type { Line } from './lines.ts'
import { createPagedNumbers, type PagedNumbers } from './paged-numbers.ts'
import { customIdOf, parseLine } from './parse-line.ts'

export type Difference = {
  change: 'added' | 'removed' | 'changed'
  customId: string
  /** null where the file has no such request. */
  lineA: number | null
  lineB: number | null
  /** Where a changed pair differs, the first few paths. */
  paths: string[]
}

export type DiffOptions = {
  desk: Desk
  /** Of the file that `readA` reads. */
  pathA: string
  readA: () => AsyncIterable<readonly Line[]>
  readB: () => AsyncIterable<readonly Line[]>
  ignored: readonly string[]
  /** Also compares what differs between any two answers. */
  isAll: boolean
  /** Added and changed ones in the order of B, then removed ones in the order of A. */
  onDifference: (difference: Difference) => Promise<void> | void
}

export type DiffTotals = {
  added: number
  removed: number
  changed: number
  same: number
  findingsA: FindingList
  findingsB: FindingList
}

/** Guess: findings that are kept; the totals count all. */
const FINDINGS_HELD_MAX = 1_000
/** Marks of a line: nothing to compare (bad, or a repeated id), not met yet, met in the other file. */
const UNUSABLE = 0
const LONE = 1
const MATCHED = 2

/** @throws TroubleError */
export async function diffFiles(options: DiffOptions): Promise<DiffTotals> {
  const { desk } = options
  const work: Work = {
    placesA: createLinePlaces(desk, options.pathA),
    marksA: createPagedNumbers(desk, 'u8'),
    marksB: createPagedNumbers(desk, 'u8'),
    partners: createPagedNumbers(desk, 'u32'),
    totals: {
      added: 0,
      removed: 0,
      changed: 0,
      same: 0,
      findingsA: createFindingList(FINDINGS_HELD_MAX),
      findingsB: createFindingList(FINDINGS_HELD_MAX),
    },
  }
  try {
    await matchIds(options, work)
    await compareB(options, work)
    await tellRemoved(options, work)
    return work.totals
  } finally {
    work.partners.close()
    work.marksA.close()
    work.marksB.close()
    work.placesA.close()
  }
}

type Work = {
  placesA: LinePlaces
  marksA: PagedNumbers
  marksB: PagedNumbers
  /** Of lines of B: the line of A with the same id. */
  partners: PagedNumbers
  totals: DiffTotals
}

async function tellRemoved({ readA, onDifference }: DiffOptions, { marksA, totals }: Work): Promise<void> {
  for await (const batch of readA()) {
    for (const { bytes, lineNumber } of batch) {
      if (marksA.get(lineNumber) !== LONE || bytes === null) continue
      totals.removed += 1
      const customId = idOf(objectOf(bytes))
      await onDifference({ change: 'removed', customId, lineA: lineNumber, lineB: null, paths: [] })
    }
  }
}

/** Afterwards lines of B with a partner in A are marked, `partners` names it, and repeated ids are found. */
async function matchIds({ desk, readA, readB }: DiffOptions, work: Work): Promise<void> {
  const { placesA, marksA, marksB, partners, totals } = work
  const ledger = createIdLedger(desk)
  try {
    let linesA = 0
    await addIds(readA(), totals.findingsA, (line, id) => {
      linesA = line.lineNumber
      placesA.add(line)
      if (id === null) return
      marksA.set(line.lineNumber, LONE)
      ledger.add(id, line.lineNumber)
    })
    await addIds(readB(), totals.findingsB, (line, id) => {
      if (id === null) return
      marksB.set(line.lineNumber, LONE)
      ledger.add(id, linesA + line.lineNumber)
    })
    ledger.report(({ id, number, firstNumber }) => {
      if (number <= linesA) {
        marksA.set(number, UNUSABLE)
        return reportRepeat(totals.findingsA, { id, lineNumber: number, where: `line ${firstNumber}` })
      }
      const lineB = number - linesA
      const isRepeat = firstNumber > linesA || marksA.get(firstNumber) === MATCHED
      if (isRepeat) {
        marksB.set(lineB, UNUSABLE)
        const where = firstNumber > linesA ? `line ${firstNumber - linesA}` : 'an earlier line'
        return reportRepeat(totals.findingsB, { id, lineNumber: lineB, where })
      }
      marksA.set(firstNumber, MATCHED)
      marksB.set(lineB, MATCHED)
      partners.set(lineB, firstNumber)
    })
  } finally {
    ledger.close()
  }
}

async function addIds(
  batches: AsyncIterable<readonly Line[]>,
  findings: FindingList,
  onLine: (line: Line, id: string | null) => void,
): Promise<void> {
  for await (const batch of batches) {
    for (const line of batch) {
      const report = ({ code, message }: { code: string; message: string }): void =>
        findings.add({ code, message, param: null, lineNumber: line.lineNumber })
      const parsed = parseLine(line, report)
      onLine(line, parsed === null ? null : customIdOf(parsed.value, report))
    }
  }
}

function reportRepeat(
  findings: FindingList,
  { id, lineNumber, where }: { id: string; lineNumber: number; where: string },
): void {
  const message = `The custom_id ${quote(id)} is the one of ${where}; only that one is compared.`
  findings.add({ code: 'duplicate_custom_id', message, param: 'custom_id', lineNumber })
}

async function compareB(options: DiffOptions, work: Work): Promise<void> {
  const { placesA, marksB, partners, totals } = work
  for await (const batch of options.readB()) {
    for (const { bytes, lineNumber } of batch) {
      const mark = marksB.get(lineNumber)
      if (mark === UNUSABLE || bytes === null) continue
      if (mark === LONE) {
        totals.added += 1
        const customId = idOf(objectOf(bytes))
        await options.onDifference({ change: 'added', customId, lineA: null, lineB: lineNumber, paths: [] })
        continue
      }
      const lineA = partners.get(lineNumber)
      const pair = comparePair(placesA.read(lineA), bytes, options)
      if (pair === null) totals.same += 1
      else {
        totals.changed += 1
        await options.onDifference({ change: 'changed', ...pair, lineA, lineB: lineNumber })
      }
    }
  }
}

/** @returns null when the two say the same */
function comparePair(
  left: Buffer,
  right: Buffer,
  options: Pick<DiffOptions, 'ignored' | 'isAll'>,
): { customId: string; paths: string[] } | null {
  if (left.equals(right)) return null
  const a = objectOf(left)
  const b = objectOf(right)
  const isAnswer = 'response' in a && 'response' in b
  const volatile = isAnswer && !options.isAll ? VOLATILE_PATHS : []
  const paths = differingPaths(a, b, [...volatile, ...options.ignored])
  return paths.length === 0 ? null : { customId: idOf(b), paths }
}

/** The line was read as an object before. */
function objectOf(bytes: Buffer): JsonObject {
  const value = parseExactly(bytes.toString())
  return isObject(value) ? value : {}
}

function idOf({ custom_id }: JsonObject): string {
  return typeof custom_id === 'string' ? custom_id : ''
}
