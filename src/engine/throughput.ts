/**
 * What ended when: points of one width, which doubles while they would be too many. Widths and places count from 1970, so that two
 * series of different widths are added exactly.
 */
import type { Analytics, ThroughputPoint } from '../domain/figures.ts'
import { THROUGHPUT_POINTS_MAX } from '../domain/limits.ts'
import type { LineRecord } from '../results/record.ts'

/** Guess: finer than this nobody looks at a batch. */
const WIDTH_MS_MIN = 125

type Sums = Omit<ThroughputPoint, 'startAt'>

export type Throughput = {
  widthMs: number
  /** By number of the point: its start divided by the width. */
  points: Map<number, Sums>
  first: number
  last: number
  /** The point that was met last: neighbours in the records mostly ended in the same one. */
  current: { number: number; sums: Sums }
}

export function newThroughput(): Throughput {
  const current = { number: Number.NaN, sums: noSums() }
  return { widthMs: WIDTH_MS_MIN, points: new Map(), first: Number.POSITIVE_INFINITY, last: -1, current }
}

/** Lines that were never asked for are no throughput. */
export function noteEnd(throughput: Throughput, record: LineRecord): void {
  if (record.outcome !== 'succeeded' && record.outcome !== 'failed') return
  const sums = sumsAt(throughput, record.recordedAt)
  sums[record.outcome] += 1
  if (record.usage === null) return
  sums.promptTokens += record.usage.promptTokens
  sums.completionTokens += record.usage.completionTokens
}

/** Adds in place. */
export function addThroughput(sum: Throughput, more: Throughput): void {
  while (sum.widthMs < more.widthMs) coarsen(sum)
  for (const [number, sums] of more.points) addSums(sumsAt(sum, number * more.widthMs), sums)
}

/** Without gaps. @returns null when nothing was noted */
export function pointsOf({ points, widthMs, first, last }: Throughput): Analytics['throughput'] {
  if (points.size === 0) return null
  return {
    bucketMs: widthMs,
    points: Array.from({ length: last - first + 1 }, (_, more) => ({
      startAt: (first + more) * widthMs,
      ...(points.get(first + more) ?? noSums()),
    })),
  }
}

function sumsAt(throughput: Throughput, at: number): Sums {
  let number = Math.floor(at / throughput.widthMs)
  if (number === throughput.current.number) return throughput.current.sums
  throughput.first = Math.min(throughput.first, number)
  throughput.last = Math.max(throughput.last, number)
  while (throughput.last - throughput.first >= THROUGHPUT_POINTS_MAX) coarsen(throughput)
  number = Math.floor(at / throughput.widthMs)
  let sums = throughput.points.get(number)
  if (sums === undefined) {
    sums = noSums()
    throughput.points.set(number, sums)
  }
  throughput.current = { number, sums }
  return sums
}

function coarsen(throughput: Throughput): void {
  const finer = throughput.points
  throughput.points = new Map()
  for (const [number, sums] of finer) {
    const known = throughput.points.get(Math.floor(number / 2))
    if (known === undefined) throughput.points.set(Math.floor(number / 2), sums)
    else addSums(known, sums)
  }
  throughput.widthMs *= 2
  throughput.first = Math.floor(throughput.first / 2)
  throughput.last = Math.floor(throughput.last / 2)
  throughput.current = { number: Number.NaN, sums: noSums() }
}

function noSums(): Sums {
  return { succeeded: 0, failed: 0, promptTokens: 0, completionTokens: 0 }
}

function addSums(sum: Sums, more: Sums): void {
  sum.succeeded += more.succeeded
  sum.failed += more.failed
  sum.promptTokens += more.promptTokens
  sum.completionTokens += more.completionTokens
}
