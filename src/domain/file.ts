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
  /** What some of its lines hold, counted by the model's own tokeniser; absent where none is known for it. */
  counted?: CountedTokens
  /** Names what its first line has in common with others made from the same template; absent in files of earlier versions. */
  template?: string
}

export type CountedTokens = {
  encoding: string
  lines: number
  /** Of the text of these lines, in bytes as ModelShare counts them, and in tokens. */
  promptBytes: number
  promptTokens: number
  /** What frames the text, and images by their formula. */
  otherTokens: number
  /** Images whose size or formula is not known. */
  imagesUnknown: number
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
