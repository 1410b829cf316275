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
/** Measured (docs/estimates.md): a count of 128 to 256 lines lies within 2 %; an engine's own framing may differ. */
const COUNTED_RANGE = 0.05
/** Guess: images of which only the address is known may be a third of what was taken for them, or twice as much. */
const UNMEASURED_IMAGES_RANGE = 0.6

/** What answers of a model at an endpoint have used, summed over some earlier batches. Only answers that stated their usage are in it. */
export type TokenHistory = {
  batches: number
  lines: number
  promptBytes: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  /** What a tokeniser counted in the inputs of these batches; null where one of them was not counted. */
  countedTokens: number | null
  /** Only batches made from the same template as the file are in it. */
  isSameTemplate: boolean
  /** Furthest that one of the batches lay from the mean of all, as parts of it. */
  inputSpread: number
  outputSpread: number
}

export type TokenCount = { inputTokens: number; outputTokens: number }

/**
 * tokenizer: counted by the model's own, on all or some of the lines. calibrated: the same, corrected by what answers to earlier
 * requests used. history: tokens per byte of earlier requests. rule: bytes of text.
 */
export type InputBasis = 'tokenizer' | 'calibrated' | 'history' | 'rule'
/** template: answers of earlier batches made from the same template; history: of any with the same model. rule: stated limits. */
export type OutputBasis = 'template' | 'history' | 'rule' | 'none'

export type TokenEstimate = TokenCount & {
  model: string
  requests: number
  /** Part of the input that is read from a cache, as far as it is known. */
  cachedTokens: number
  low: TokenCount
  high: TokenCount
  restsOn: { input: InputBasis; output: OutputBasis }
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
  const hasOutput = endpoint !== '/v1/embeddings' && endpoint !== '/v1/moderations'
  return models.map((share) => {
    const known = history.get(share.model) ?? null
    const input = inputOf(share, known)
    const output = hasOutput
      ? outputOf(share, known)
      : { expected: 0, low: 0, high: 0, basis: 'none' as const }
    const at = (bound: 'low' | 'high' | 'expected'): TokenCount => ({
      inputTokens: Math.round(input[bound]),
      outputTokens: withinLimit(share, output[bound]),
    })
    const cachedPart =
      known !== null && known.promptTokens > 0 ? Math.min(1, known.cachedTokens / known.promptTokens) : 0
    return {
      model: share.model,
      requests: share.lines,
      ...at('expected'),
      cachedTokens: Math.round(Math.round(input.expected) * cachedPart),
      low: at('low'),
      high: at('high'),
      restsOn: { input: input.basis, output: output.basis },
      history: { lines: known?.lines ?? 0, batches: known?.batches ?? 0 },
    }
  })
}

type Expectation<Basis> = { expected: number; low: number; high: number; basis: Basis }

function inputOf(share: ModelShare, known: TokenHistory | null): Expectation<InputBasis> {
  const counted = countedTokensOf(share)
  const least = leastSpread(known)
  if (counted !== null && known !== null && known.countedTokens !== null && known.countedTokens > 0) {
    const expected = counted * (known.promptTokens / known.countedTokens)
    return { ...around(expected, Math.max(least, known.inputSpread)), basis: 'calibrated' }
  }
  // Images that nobody has measured make a count worth less than what earlier requests took.
  if (counted !== null && (known === null || share.counted?.imagesUnknown === 0)) {
    const isSure = share.counted?.imagesUnknown === 0
    return { ...around(counted, isSure ? COUNTED_RANGE : UNMEASURED_IMAGES_RANGE), basis: 'tokenizer' }
  }
  if (known !== null) {
    const hasText = share.promptBytes > 0 && known.promptBytes > 0
    const expected = hasText
      ? share.promptBytes * (known.promptTokens / known.promptBytes)
      : share.lines * (known.promptTokens / known.lines)
    return { ...around(expected, Math.max(least, known.inputSpread)), basis: 'history' }
  }
  const expected = Math.round(share.promptBytes / PROMPT_BYTES_PER_TOKEN)
  return { expected, low: expected * INPUT_RANGE.low, high: expected * INPUT_RANGE.high, basis: 'rule' }
}

function outputOf(share: ModelShare, known: TokenHistory | null): Expectation<OutputBasis> {
  if (known === null) {
    const expected = outputByRule(share)
    return { expected, low: expected * OUTPUT_RANGE.low, high: expected * OUTPUT_RANGE.high, basis: 'rule' }
  }
  const expected = share.lines * (known.completionTokens / known.lines)
  const basis = known.isSameTemplate ? 'template' : 'history'
  return { ...around(expected, Math.max(leastSpread(known), known.outputSpread)), basis }
}

/** Of all lines, from those that the tokeniser has seen. @returns null when it has seen none */
export function countedTokensOf({ counted, lines, promptBytes }: ModelShare): number | null {
  if (counted === undefined || counted.lines === 0) return null
  const perByte = counted.promptBytes > 0 ? counted.promptTokens / counted.promptBytes : 0
  return promptBytes * perByte + (lines * counted.otherTokens) / counted.lines
}

function leastSpread(known: TokenHistory | null): number {
  return known !== null && known.batches >= SEVERAL_BATCHES_MIN ? SEVERAL_BATCHES_RANGE : FEW_BATCHES_RANGE
}

function around(expected: number, spread: number): { expected: number; low: number; high: number } {
  return { expected, low: Math.max(0, expected * (1 - spread)), high: expected * (1 + spread) }
}

const INPUT_RULE = `input: bytes of prompt text / ${PROMPT_BYTES_PER_TOKEN}`
const OUTPUT_RULE = [
  `output: ${OUTPUT_PART_OF_LIMIT * 100} % of the stated limit, at most ${OUTPUT_TOKENS_PER_LINE_MAX} tokens a request`,
  `${OUTPUT_TOKENS_PER_LINE} tokens where no limit is stated`,
].join('; ')
/** One sentence for people: how the figures were made where nothing was learned or counted. */
export const ESTIMATE_BASIS = `${INPUT_RULE}; ${OUTPUT_RULE}`

/** The same of these figures. */
export function basisOf(estimates: readonly TokenEstimate[]): string {
  const learned = estimates.filter(({ history }) => history.lines > 0)
  const counted = estimates.filter(({ restsOn }) => restsOn.input === 'tokenizer')
  const words: string[] = []
  if (learned.length > 0) {
    const lines = learned.reduce((sum, { history }) => sum + history.lines, 0)
    const batches = learned.reduce((most, { history }) => Math.max(most, history.batches), 0)
    const from = batches === 1 ? '1 earlier batch' : `up to ${batches} earlier batches`
    words.push(`learned from ${lines} answers of ${from} with the same model and endpoint`)
  }
  if (counted.length > 0) words.push(`input counted by the tokenizer of ${namesOf(counted, estimates)}`)
  if (learned.length === estimates.length && estimates.length > 0) return words.join('; ')
  const isRuled = estimates.length === 0 || estimates.some(({ restsOn }) => restsOn.input === 'rule')
  const rules = isRuled ? ESTIMATE_BASIS : OUTPUT_RULE
  return [...words, learned.length > 0 ? `for the other models ${rules}` : rules].join('; ')
}

function namesOf(counted: readonly TokenEstimate[], all: readonly TokenEstimate[]): string {
  if (counted.length === all.length) return counted.length === 1 ? 'the model' : 'each model'
  return counted.map(({ model }) => model).join(', ')
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
