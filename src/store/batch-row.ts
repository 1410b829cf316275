/** A batch as a row and back. */
import type { Insertable, Selectable } from 'kysely'
import type { Batch, Finding, Tally } from '../domain/batch.ts'
import type { BatchTable, TallyColumns } from './schema.ts'
import type { NewBatch } from './store.ts'

export const tallyColumns = {
  completed: 'completed',
  failed: 'failed',
  expired: 'expired',
  cancelled: 'cancelled',
  promptTokens: 'prompt_tokens',
  cachedTokens: 'cached_tokens',
  completionTokens: 'completion_tokens',
  reasoningTokens: 'reasoning_tokens',
  usageUnknown: 'usage_unknown',
  outputLines: 'output_lines',
  outputBytes: 'output_bytes',
  errorLines: 'error_lines',
  errorBytes: 'error_bytes',
} as const satisfies Record<keyof Tally, keyof TallyColumns>

// `Object.keys` forgets the type of the keys it returns.
export const tallyFields = Object.keys(tallyColumns) as (keyof Tally)[]

/** Counters as columns. `numberOf` gives the number, or what stands for it in a statement. */
export function rowOfTally(numberOf: (field: keyof Tally) => number): Record<keyof TallyColumns, number> {
  const row: Partial<Record<keyof TallyColumns, number>> = {}
  for (const field of tallyFields) row[tallyColumns[field]] = numberOf(field)
  // Every field has been set in the loop.
  return row as Record<keyof TallyColumns, number>
}

export function rowOfNewBatch(batch: NewBatch): Insertable<BatchTable> {
  return {
    id: batch.id,
    tenant_id: batch.tenantId,
    input_file_id: batch.inputFileId,
    endpoint: batch.endpoint,
    window: batch.window,
    status: 'validating',
    output_file_id_reserved: batch.outputFileIdReserved,
    error_file_id_reserved: batch.errorFileIdReserved,
    created_at: batch.createdAt,
    expires_at: batch.expiresAt,
    metadata: batch.metadata === null ? null : JSON.stringify(batch.metadata),
    output_expires_after_seconds: batch.outputExpiresAfterSeconds,
    retry_of: batch.retryOf,
    key_id: batch.keyId,
  }
}

export function batchOfRow(row: Selectable<BatchTable>): Batch {
  return {
    id: row.id,
    seq: row.seq,
    tenantId: row.tenant_id,
    inputFileId: row.input_file_id,
    endpoint: row.endpoint,
    window: row.window,
    status: row.status,
    endsAs: row.ends_as,
    outputFileId: row.output_file_id,
    errorFileId: row.error_file_id,
    outputFileIdReserved: row.output_file_id_reserved,
    errorFileIdReserved: row.error_file_id_reserved,
    createdAt: row.created_at,
    inProgressAt: row.in_progress_at,
    expiresAt: row.expires_at,
    finalizingAt: row.finalizing_at,
    completedAt: row.completed_at,
    failedAt: row.failed_at,
    expiredAt: row.expired_at,
    cancellingAt: row.cancelling_at,
    cancelledAt: row.cancelled_at,
    linesTotal: row.lines_total,
    tally: tallyOfRow(row),
    // JSON columns were written by this folder.
    metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as Record<string, string>),
    outputExpiresAfterSeconds: row.output_expires_after_seconds,
    findings: JSON.parse(row.findings) as Finding[],
    findingsTotal: row.findings_total,
    model: row.model,
    retryOf: row.retry_of,
    haltReason: row.halt_reason,
    keyId: row.key_id,
  }
}

function tallyOfRow(row: Selectable<TallyColumns>): Tally {
  const tally: Partial<Tally> = {}
  for (const field of tallyFields) tally[field] = row[tallyColumns[field]]
  // Every field has been set in the loop.
  return tally as Tally
}
