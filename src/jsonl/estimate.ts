/**
 * Token estimate of a request file, used by the command line and the server alike. A figure of it is always labelled an estimate: it
 * rests on what answers to earlier requests of the same kind used where a server knows that, and on a rule of thumb otherwise.
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

/** Without history, as parts of what is expected. The input's are the measured errors above, the output's guesses. */
const INPUT_RANGE = { low: 0.9, high: 1.8 }
const OUTPUT_RANGE = { low: 0.1, high: 3 }
/** Guess: how far a batch lies from the mean of one or two earlier ones, and of more. A wider spread seen among them counts instead. */
const FEW_BATCHES_RANGE = 0.25
const SEVERAL_BATCHES_RANGE = 0.1
const SEVERAL_BATCHES_MIN = 3

/** What answers of a model at an endpoint have used, summed over some earlier batches. Only answers that stated their usage are in it. */
export type TokenHistory = {
  batches: number
  lines: number
  promptBytes: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  /** Furthest that one of the batches lay from the mean of all, as parts of it. */
  inputSpread: number
  outputSpread: number
}

export type TokenCount = { inputTokens: number; outputTokens: number }

export type TokenEstimate = TokenCount & {
  model: string
  requests: number
  /** Part of the input that is read from a cache, as far as it is known. */
  cachedTokens: number
  low: TokenCount
  high: TokenCount
  history: { lines: number; batches: number }
}

/**
 * @param endpoint of the file's lines; null when it is not known or they differ
 * @param history by model
 */
export function estimateTokens(
  models: readonly ModelShare[],
  endpoint: Endpoint | null,
  history: ReadonlyMap<string, TokenHistory> = new Map(),
): TokenEstimate[] {
  return models.map((share) => {
    const known = history.get(share.model)
    const hasOutput = endpoint !== '/v1/embeddings' && endpoint !== '/v1/moderations'
    const tokens = known === undefined ? byRule(share, hasOutput) : byHistory(share, known, hasOutput)
    return { model: share.model, requests: share.lines, ...tokens }
  })
}

type Tokens = Omit<TokenEstimate, 'model' | 'requests'>

function byRule(share: ModelShare, hasOutput: boolean): Tokens {
  const inputTokens = Math.round(share.promptBytes / PROMPT_BYTES_PER_TOKEN)
  const outputTokens = hasOutput ? outputByRule(share) : 0
  const at = (end: 'low' | 'high'): TokenCount => ({
    inputTokens: Math.round(inputTokens * INPUT_RANGE[end]),
    outputTokens: withinLimit(share, outputTokens * OUTPUT_RANGE[end]),
  })
  const history = { lines: 0, batches: 0 }
  return { inputTokens, outputTokens, cachedTokens: 0, low: at('low'), high: at('high'), history }
}

function byHistory(share: ModelShare, known: TokenHistory, hasOutput: boolean): Tokens {
  const hasText = share.promptBytes > 0 && known.promptBytes > 0
  const input = hasText
    ? share.promptBytes * (known.promptTokens / known.promptBytes)
    : share.lines * (known.promptTokens / known.lines)
  const output = hasOutput ? share.lines * (known.completionTokens / known.lines) : 0
  const least = known.batches < SEVERAL_BATCHES_MIN ? FEW_BATCHES_RANGE : SEVERAL_BATCHES_RANGE
  const at = (sign: -1 | 1): TokenCount => ({
    inputTokens: Math.max(0, Math.round(input * (1 + sign * Math.max(least, known.inputSpread)))),
    outputTokens: withinLimit(share, output * (1 + sign * Math.max(least, known.outputSpread))),
  })
  const inputTokens = Math.round(input)
  const cachedPart = known.promptTokens > 0 ? Math.min(1, known.cachedTokens / known.promptTokens) : 0
  return {
    inputTokens,
    outputTokens: withinLimit(share, output),
    cachedTokens: Math.round(inputTokens * cachedPart),
    low: at(-1),
    high: at(1),
    history: { lines: known.lines, batches: known.batches },
  }
}

/** One sentence for people: how the figures were made where nothing was learned. */
export const ESTIMATE_BASIS = [
  `input: bytes of prompt text / ${PROMPT_BYTES_PER_TOKEN}`,
  `output: ${OUTPUT_PART_OF_LIMIT * 100} % of the stated limit, at most ${OUTPUT_TOKENS_PER_LINE_MAX} tokens a request`,
  `${OUTPUT_TOKENS_PER_LINE} tokens where no limit is stated`,
].join('; ')

/** The same of these figures. */
export function basisOf(estimates: readonly TokenEstimate[]): string {
  const learned = estimates.filter(({ history }) => history.lines > 0)
  if (learned.length === 0) return ESTIMATE_BASIS
  const lines = learned.reduce((sum, { history }) => sum + history.lines, 0)
  const batches = learned.reduce((most, { history }) => Math.max(most, history.batches), 0)
  const words = `learned from ${lines} answers of ${batches === 1 ? '1 earlier batch' : `up to ${batches} earlier batches`} with the same model and endpoint`
  return learned.length === estimates.length ? words : `${words}; for the other models ${ESTIMATE_BASIS}`
}

function outputByRule(share: ModelShare): number {
  const stated = Math.min(
    share.outputTokensLimit * OUTPUT_PART_OF_LIMIT,
    share.outputTokensLimitLines * OUTPUT_TOKENS_PER_LINE_MAX,
  )
  return Math.round(stated + (share.lines - share.outputTokensLimitLines) * OUTPUT_TOKENS_PER_LINE)
}

/** No answer is longer than its line allows, where every line says how long. */
function withinLimit(share: ModelShare, outputTokens: number): number {
  const most =
    share.outputTokensLimitLines === share.lines ? share.outputTokensLimit : Number.POSITIVE_INFINITY
  return Math.max(0, Math.round(Math.min(outputTokens, most)))
}
