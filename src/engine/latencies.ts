/** Latencies folded one by one: count, mean and maximum are exact, percentiles are right to three digits whatever the range. */
import { build, type Histogram } from 'hdr-histogram-js'
import type { Quantiles } from '../domain/figures.ts'

export type Latencies = { histogram: Histogram; sumMs: number; msMax: number }

const SIGNIFICANT_DIGITS = 3

export function newLatencies(): Latencies {
  // It grows with the longest latency: a week in the queue is no less true than a second.
  const histogram = build({ numberOfSignificantValueDigits: SIGNIFICANT_DIGITS, autoResize: true })
  return { histogram, sumMs: 0, msMax: 0 }
}

/** @param ms negative values count as 0: two clocks may differ by a rounding */
export function note(latencies: Latencies, ms: number): void {
  const whole = Math.max(0, Math.round(ms))
  latencies.histogram.recordValue(whole)
  latencies.sumMs += whole
  latencies.msMax = Math.max(latencies.msMax, whole)
}

/** @returns null when nothing was noted */
export function quantiles(latencies: Latencies): Quantiles | null {
  const { histogram, sumMs, msMax } = latencies
  if (histogram.totalCount === 0) return null
  // A bucket names its upper end, which may lie above every value in it.
  const at = (percentile: number): number => Math.min(msMax, histogram.getValueAtPercentile(percentile))
  return {
    mean: sumMs / histogram.totalCount,
    p50: at(50),
    p90: at(90),
    p95: at(95),
    p99: at(99),
    max: msMax,
  }
}
