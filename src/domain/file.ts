import type { Finding } from './batch.ts'

/** What one model has in an input file; also the estimator's input. */
export type ModelShare = {
  model: string
  lines: number
  bodyBytes: number
  /** Bytes of prompt text (strings of messages, prompt, input), images left out. */
  promptBytes: number
  /** Sum of the output limits the lines state, and how many lines state one. */
  outputTokensLimit: number
  outputTokensLimitLines: number
}

/** What one pass over an upload found. */
export type Inspection = {
  bytes: number
  sha256: string
  /** Request lines, blank ones left out. Only these have an index entry. */
  lines: number
  models: readonly ModelShare[]
  /** Different `url` values of the lines, at most a few; a valid file has one. */
  endpoints: readonly string[]
  findings: readonly Finding[]
  findingsTotal: number
}

/** A part of a file's content: an ordered manifest of these is the file. */
export type Extent = { blob: string; offset: number; bytes: number; firstLine: number }

export type StoredFile = {
  id: string
  tenantId: string
  filename: string
  purpose: string
  createdAt: number
  expiresAt: number | null
  /** Hidden at once; bytes stay until no live batch needs them. */
  deletedAt: number | null
  /** Input files carry an inspection (purpose `batch`); output and error files name their batch instead. */
  kind: 'input' | 'output' | 'error'
  bytes: number
  extents: readonly Extent[]
  inspection: Inspection | null
  batchId: string | null
}
