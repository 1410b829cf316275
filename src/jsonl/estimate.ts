/**
 * Token estimate of a request file, used by the command line and the server alike. A figure of it is always labelled an estimate:
 * nothing here has seen a tokeniser or an answer.
 */
import type { Endpoint } from '../domain/batch.ts'
import type { ModelShare } from '../domain/file.ts'

/** Measured (reference/dependencies, section 9): +4 % on English, +6 % on code, +4 % on Chinese, -43 % on dense JSON. */
export const PROMPT_BYTES_PER_TOKEN = 4
/** Required by reference/scheduling, section 6: prior of the part of a stated limit that answers use. */
export const OUTPUT_PART_OF_LIMIT = 0.35
/** Guess: many files state a model's maximum on every line; answers stay far below it. */
export const OUTPUT_TOKENS_PER_LINE_MAX = 2_000
/** Guess: an answer of a line that states no limit. */
export const OUTPUT_TOKENS_PER_LINE = 300

export type TokenEstimate = {
  model: string
  requests: number
  inputTokens: number
  outputTokens: number
}

/** @param endpoint of the file's lines; null when it is not known or they differ */
export function estimateTokens(models: readonly ModelShare[], endpoint: Endpoint | null): TokenEstimate[] {
  return models.map((share) => ({
    model: share.model,
    requests: share.lines,
    inputTokens: Math.round(share.promptBytes / PROMPT_BYTES_PER_TOKEN),
    outputTokens: hasOutput(endpoint) ? outputTokens(share) : 0,
  }))
}

/** One sentence for people: how the figures were made. */
export const ESTIMATE_BASIS = [
  `input: bytes of prompt text / ${PROMPT_BYTES_PER_TOKEN}`,
  `output: ${OUTPUT_PART_OF_LIMIT * 100} % of the stated limit, at most ${OUTPUT_TOKENS_PER_LINE_MAX} tokens a request`,
  `${OUTPUT_TOKENS_PER_LINE} tokens where no limit is stated`,
].join('; ')

function hasOutput(endpoint: Endpoint | null): boolean {
  return endpoint !== '/v1/embeddings' && endpoint !== '/v1/moderations'
}

function outputTokens(share: ModelShare): number {
  const stated = Math.min(
    share.outputTokensLimit * OUTPUT_PART_OF_LIMIT,
    share.outputTokensLimitLines * OUTPUT_TOKENS_PER_LINE_MAX,
  )
  return Math.round(stated + (share.lines - share.outputTokensLimitLines) * OUTPUT_TOKENS_PER_LINE)
}
