/** What the end summary tells beyond a batch's own counts. Asked once; what a server does not have is left out. */
import { ApiError, type Client, isPassing } from '../../client/client.ts'
import type { WireAnalytics, WireBatch } from '../../contract/wire.ts'
import { countLines, tapLines } from '../results-content.ts'
import { isSimulatedModel, type SummaryFacts } from '../summary.ts'
import { createFailureGroups, type FailureGroup, failureOf } from '../summary-groups.ts'
import { extrasOf } from '../summary-outcome.ts'

/** Guess: enough lines to name what went wrong; a summary must not take as long as the batch. */
const ERROR_LINES_MAX = 10_000
const ERROR_BYTES_MAX = 16 * 1024 * 1024

export async function summaryFacts(
  client: Client,
  batch: WireBatch,
  signal: AbortSignal,
): Promise<SummaryFacts> {
  const analytics = extrasOf(batch) === null ? null : await optional(client.batches.analytics(batch.id))
  const failures = await firstFailures(client, batch, signal)
  return {
    batch,
    groups: failures?.groups ?? [],
    groupedLines: failures?.lines ?? null,
    isSimulated: analytics?.simulated ?? isSimulatedModel(batch.model),
    tokens: tokensOf(batch, analytics),
    cost: analytics === null ? null : costWords(analytics),
  }
}

/** `1.25 USD`, or that no price is set: an unknown cost is never zero. */
export function costWords(analytics: WireAnalytics): string {
  const { total_cost, currency, priced } = analytics
  return total_cost === null || !priced ? 'no price set' : `${total_cost} ${currency}`
}

function tokensOf(batch: WireBatch, analytics: WireAnalytics | null): SummaryFacts['tokens'] {
  if (analytics !== null) {
    const { prompt, completion, usage_unknown } = analytics.tokens
    return { input: prompt, output: completion, unknownLines: usage_unknown }
  }
  // The type says what our server sends; others leave the usage out.
  const usage = batch.usage as WireBatch['usage'] | undefined | null
  return usage ? { input: usage.input_tokens, output: usage.output_tokens, unknownLines: 0 } : null
}

async function firstFailures(
  client: Client,
  batch: WireBatch,
  signal: AbortSignal,
): Promise<{ groups: FailureGroup[]; lines: number } | null> {
  if (!batch.error_file_id) return { groups: [], lines: 0 }
  const range = { start: 0, end: ERROR_BYTES_MAX }
  const reply = await optional(client.files.content(batch.error_file_id, { range, signal }))
  if (reply === null) return null
  const groups = createFailureGroups()
  const counted = { lines: 0 }
  let bytes = 0
  try {
    const lines = tapLines(countLines(reply.body, counted), (line) => {
      const failure = failureOf(line)
      if (failure !== null && groups.total < ERROR_LINES_MAX) groups.add(failure)
    })
    for await (const chunk of lines) {
      bytes += chunk.byteLength
      if (bytes >= ERROR_BYTES_MAX || counted.lines >= ERROR_LINES_MAX) break
    }
  } catch (thrown) {
    // A connection that was cut: what was read so far is shown as a part.
    if (!isPassing(thrown)) throw thrown
  }
  return { groups: groups.list(), lines: groups.total }
}

/** Null where the server has no such thing, or has it no more. */
export async function optional<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (thrown) {
    if (thrown instanceof ApiError || isPassing(thrown)) return null
    throw thrown
  }
}
