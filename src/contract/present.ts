/** From the domain to the wire. */
import type { Batch, Finding } from '../domain/batch.ts'
import type { LiveState } from '../domain/figures.ts'
import type { StoredFile } from '../domain/file.ts'
import type {
  WireBatch,
  WireBatchError,
  WireBatchExtras,
  WireBatchStatus,
  WireErrorBody,
  WireFile,
  WireList,
  WireUsage,
} from './wire.ts'

export function presentFile(file: StoredFile): WireFile {
  return {
    id: file.id,
    object: 'file',
    bytes: file.bytes,
    created_at: seconds(file.createdAt),
    expires_at: secondsOrNull(file.expiresAt),
    filename: file.filename,
    purpose: file.purpose,
    status: 'processed',
    status_details: null,
  }
}

export function presentBatch(batch: Batch, live: LiveState | null, now: number): WireBatch {
  // The states have the wire's own words.
  const status: WireBatchStatus = batch.status
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    model: batch.model,
    errors: batch.findingsTotal === 0 ? null : { object: 'list', data: batch.findings.map(presentFinding) },
    input_file_id: batch.inputFileId,
    completion_window: batch.window,
    status,
    output_file_id: batch.outputFileId,
    error_file_id: batch.errorFileId,
    created_at: seconds(batch.createdAt),
    in_progress_at: secondsOrNull(batch.inProgressAt),
    expires_at: seconds(batch.expiresAt),
    finalizing_at: secondsOrNull(batch.finalizingAt),
    completed_at: secondsOrNull(batch.completedAt),
    failed_at: secondsOrNull(batch.failedAt),
    expired_at: secondsOrNull(batch.expiredAt),
    cancelling_at: secondsOrNull(batch.cancellingAt),
    cancelled_at: secondsOrNull(batch.cancelledAt),
    request_counts: { total: batch.linesTotal, completed: batch.tally.completed, failed: batch.tally.failed },
    usage: presentUsage(batch),
    metadata: batch.metadata === null ? null : { ...batch.metadata },
    dw: presentExtras(batch, live, now),
  }
}

export function presentFinding(finding: Finding): WireBatchError {
  return { code: finding.code, message: finding.message, param: finding.param, line: finding.lineNumber }
}

export function presentList<T extends { id: string }>(data: T[], hasMore: boolean): WireList<T> {
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: hasMore,
  }
}

export function presentError(error: {
  message: string
  type: string
  param: string | null
  code: string | null
}): WireErrorBody {
  return { error: { message: error.message, type: error.type, param: error.param, code: error.code } }
}

export function seconds(at: number): number {
  return Math.floor(at / 1000)
}

export function secondsOrNull(at: number | null): number | null {
  return at === null ? null : seconds(at)
}

function presentUsage(batch: Batch): WireUsage {
  const { promptTokens, cachedTokens, completionTokens, reasoningTokens } = batch.tally
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  }
}

function presentExtras(batch: Batch, live: LiveState | null, now: number): WireBatchExtras {
  const isLive = live !== null
  return {
    state_reason: batch.haltReason ?? live?.reason ?? null,
    in_flight: live?.inFlight ?? 0,
    requests_per_second: rounded(live?.requestsPerSecond ?? null),
    tokens_per_second: rounded(live?.tokensPerSecond ?? null),
    eta_at: secondsOrNull(live?.etaAt ?? null),
    retry_of: batch.retryOf,
    halt_reason: batch.haltReason,
    findings_total: batch.findingsTotal,
    is_late: isLive && now > batch.expiresAt,
    counts: { expired: batch.tally.expired, cancelled: batch.tally.cancelled },
  }
}

function rounded(rate: number | null): number | null {
  return rate === null ? null : Math.round(rate * 100) / 100
}
