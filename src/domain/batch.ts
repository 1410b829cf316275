/**
 * A batch and its life. Moves are data; every write compares the state it leaves, so that a late writer changes nothing.
 *
 *   validating → in_progress → finalizing → completed | expired
 *   validating | in_progress → cancelling → cancelled
 *   validating → failed
 *
 * `failed` means that the input did not validate. A batch whose every line failed is `completed` and says so in its counts.
 */

export type BatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled'

export const batchMoves = {
  validating: ['failed', 'in_progress', 'cancelling'],
  in_progress: ['finalizing', 'cancelling'],
  finalizing: ['completed', 'expired'],
  cancelling: ['cancelled'],
  failed: [],
  completed: [],
  expired: [],
  cancelled: [],
} as const satisfies Record<BatchStatus, readonly BatchStatus[]>

export type EndedStatus = 'failed' | 'completed' | 'expired' | 'cancelled'

export function isEnded(status: BatchStatus): status is EndedStatus {
  return batchMoves[status].length === 0
}

/** How one line ended. `succeeded` goes to the output file, all others to the error file. */
export type Outcome = 'succeeded' | 'failed' | 'expired' | 'cancelled'

/**
 * Folded from a batch's records, never counted on the side. `completed` are the succeeded lines (OpenAI's word);
 * expired and cancelled lines count as neither completed nor failed.
 */
export type Tally = {
  completed: number
  failed: number
  expired: number
  cancelled: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  reasoningTokens: number
  /** Answered lines whose answer stated no usage: their tokens are unknown, not zero. */
  usageUnknown: number
  outputLines: number
  outputBytes: number
  errorLines: number
  errorBytes: number
}

export const emptyTally: Tally = {
  completed: 0,
  failed: 0,
  expired: 0,
  cancelled: 0,
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
  usageUnknown: 0,
  outputLines: 0,
  outputBytes: 0,
  errorLines: 0,
  errorBytes: 0,
}

/** Lines of the tally that have their one record. */
export function recordedLines(tally: Tally): number {
  return tally.completed + tally.failed + tally.expired + tally.cancelled
}

/** A reason why an input is refused: one line, or the file as a whole (`lineNumber` null). */
export type Finding = {
  code: string
  message: string
  param: string | null
  /** Physical line of the file, counted from 1. */
  lineNumber: number | null
}

export type Batch = {
  id: string
  /** Dense number of the batch in this store; names it in logs and result folders. */
  seq: number
  tenantId: string
  inputFileId: string
  endpoint: string
  /** As the user wrote it, for example `24h`. */
  window: string
  status: BatchStatus
  /** How a batch in `finalizing` or `cancelling` will end; null before. */
  endsAs: 'completed' | 'expired' | 'cancelled' | null
  /** Null until the first success is durable; then never changes. */
  outputFileId: string | null
  /** Null until the end; null for ever when no line belongs there. */
  errorFileId: string | null
  /** Ids that the two files will have, fixed at creation so that a crash cannot change them. */
  outputFileIdReserved: string
  errorFileIdReserved: string
  createdAt: number
  inProgressAt: number | null
  expiresAt: number
  finalizingAt: number | null
  completedAt: number | null
  failedAt: number | null
  expiredAt: number | null
  cancellingAt: number | null
  cancelledAt: number | null
  /** 0 until validated. */
  linesTotal: number
  tally: Tally
  metadata: Readonly<Record<string, string>> | null
  outputExpiresAfterSeconds: number | null
  /** First findings of an input that did not validate, at most FINDINGS_SHOWN_MAX, and how many there are in all. */
  findings: readonly Finding[]
  findingsTotal: number
  /** The only model of the file, or null when it has several or is not validated. */
  model: string | null
  /** Batch whose failed lines this one runs again, or null. */
  retryOf: string | null
  /** Why the server stopped working on this batch for good (damage to its results), or null. */
  haltReason: string | null
  /** Key that made it; null for the owner, an open server, and batches older than this field. */
  keyId: string | null
}

export const ENDPOINTS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
  '/v1/moderations',
] as const

export type Endpoint = (typeof ENDPOINTS)[number]

export function isEndpoint(text: string): text is Endpoint {
  return (ENDPOINTS as readonly string[]).includes(text)
}
