/** What was used: lines by how they ended, calls and tokens, summed over an hour, a model and an upstream of one batch. */

export type UsageCounts = {
  succeeded: number
  failed: number
  expired: number
  cancelled: number
  /** Calls to engines, repeated ones too. */
  calls: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  reasoningTokens: number
  /** Answered lines whose answer stated no usage: their tokens are unknown, not zero. */
  usageUnknown: number
}

export type UsageRow = UsageCounts & {
  /** Start of the hour in which the lines ended. */
  hourAt: number
  model: string
  /** As in the records; NO_UPSTREAM for lines that no call was made for. */
  upstreamNumber: number
}

export const HOUR_MS = 60 * 60_000
/** In a record: no upstream was called. */
export const NO_UPSTREAM = 255

export const noUsage: UsageCounts = {
  succeeded: 0,
  failed: 0,
  expired: 0,
  cancelled: 0,
  calls: 0,
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
  usageUnknown: 0,
}

/** Adds in place. */
export function addUsage(sum: UsageCounts, more: UsageCounts): void {
  sum.succeeded += more.succeeded
  sum.failed += more.failed
  sum.expired += more.expired
  sum.cancelled += more.cancelled
  sum.calls += more.calls
  sum.promptTokens += more.promptTokens
  sum.cachedTokens += more.cachedTokens
  sum.completionTokens += more.completionTokens
  sum.reasoningTokens += more.reasoningTokens
  sum.usageUnknown += more.usageUnknown
}
