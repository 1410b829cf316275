/** The requests of a batch as JSON text. Bodies and result lines go in as the bytes that are stored, never parsed and written again. */
import type { RequestFacts } from '../domain/figures.ts'
import { seconds } from './present.ts'
import type { WireBatchRequest, WireRequestPage } from './wire-figures.ts'

type Include = { input: boolean; output: boolean }

export function presentRequest(facts: RequestFacts, include: Include): Buffer {
  const end = Buffer.from('}')
  const parts: Uint8Array[] = [Buffer.from(JSON.stringify(wireOf(facts)).slice(0, -1))]
  if (include.input) parts.push(Buffer.from(',"input":'), bytesOrNull(facts.input))
  if (include.output) parts.push(Buffer.from(',"output":'), bytesOrNull(facts.output))
  return Buffer.concat([...parts, end])
}

export function presentRequestPage(
  page: { items: readonly RequestFacts[]; searched: { from: number; to: number; total: number } },
  include: Include,
): Buffer {
  const { searched } = page
  const hasMore = searched.to < searched.total
  const rest: Omit<WireRequestPage, 'object' | 'data'> = {
    has_more: hasMore,
    next_after: hasMore ? String(searched.to) : null,
    searched,
  }
  const items = page.items.flatMap((facts, place) =>
    place === 0 ? [presentRequest(facts, include)] : [Buffer.from(','), presentRequest(facts, include)],
  )
  return Buffer.concat([
    Buffer.from('{"object":"list","data":['),
    ...items,
    Buffer.from(`],${JSON.stringify(rest).slice(1)}`),
  ])
}

function wireOf(facts: RequestFacts): WireBatchRequest {
  const { ended } = facts
  const wasCalled = ended !== null && ended.attempts > 0
  return {
    object: 'batch.request',
    batch_id: facts.batchId,
    index: facts.lineIndex,
    line: facts.lineNumber,
    custom_id: facts.customId,
    model: facts.model,
    status: ended?.outcome ?? 'pending',
    status_code: ended === null || ended.httpStatus === 0 ? null : ended.httpStatus,
    attempts: ended?.attempts ?? 0,
    upstream: facts.upstream,
    started_at: wasCalled ? seconds(ended.startedAt) : null,
    ended_at: ended === null ? null : seconds(ended.recordedAt),
    latency_ms: wasCalled
      ? {
          queue: Math.max(0, ended.startedAt - facts.inProgressAt),
          first_byte: ended.firstByteMs,
          upstream: ended.upstreamMs,
          total: Math.max(0, ended.recordedAt - ended.startedAt),
        }
      : null,
    usage:
      ended === null || ended.usage === null
        ? null
        : {
            prompt_tokens: ended.usage.promptTokens,
            cached_tokens: ended.usage.cachedTokens,
            completion_tokens: ended.usage.completionTokens,
            reasoning_tokens: ended.usage.reasoningTokens,
          },
  }
}

function bytesOrNull(bytes: Uint8Array | null): Uint8Array {
  return bytes ?? Buffer.from('null')
}
