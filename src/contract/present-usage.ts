/** Usage, from the domain to the wire. */
import type { UsageGroup, UsageReport } from '../domain/figures.ts'
import { decimalOf, picosOf } from '../domain/price.ts'
import { addUsage, noUsage, type UsageCounts } from '../domain/usage.ts'
import { secondsOrNull } from './present.ts'
import type { WireUsageCounts, WireUsageReport } from './wire.ts'

export function presentUsage(
  report: UsageReport,
  facts: { since: number; until: number; currency: string },
): WireUsageReport {
  const sum = { ...noUsage }
  let picos = 0n
  for (const group of report.groups) {
    addUsage(sum, group)
    picos += picosOf(group.cost ?? '0') ?? 0n
  }
  const isPriced = report.groups.every((group) => group.isPriced)
  return {
    object: 'usage.report',
    since: facts.since,
    until: facts.until,
    currency: facts.currency,
    data: report.groups.map((group) => ({
      object: 'usage',
      bucket_start: secondsOrNull(group.bucketAt),
      by: { ...group.by },
      ...countsOf(group, group),
    })),
    total: countsOf(sum, { isPriced, cost: isPriced ? decimalOf(picos) : null }),
    live_batches_left_out: report.liveBatchesLeftOut,
  }
}

function countsOf(counts: UsageCounts, money: Pick<UsageGroup, 'cost' | 'isPriced'>): WireUsageCounts {
  const { succeeded, failed, expired, cancelled } = counts
  return {
    requests: succeeded + failed + expired + cancelled,
    succeeded,
    failed,
    expired,
    cancelled,
    calls: counts.calls,
    prompt_tokens: counts.promptTokens,
    cached_tokens: counts.cachedTokens,
    completion_tokens: counts.completionTokens,
    reasoning_tokens: counts.reasoningTokens,
    usage_unknown: counts.usageUnknown,
    cost: money.cost,
    priced: money.isPriced,
  }
}
