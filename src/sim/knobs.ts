/**
 * How a simulated model behaves. Knobs come from three places, later ones winning: the model's own defaults, the options of
 * the server, and the model name of one request, for example `sim/chat?ttft=50&tps=200&errors=0.03`.
 */
import { RefusedError } from '../lib/errors.ts'

export const errorClasses = [
  'rate_limit',
  'server_error',
  'stall',
  'invalid_json',
  'content_filter',
  'content_filter_once',
] as const

/**
 * rate_limit           429 with Retry-After, heals on the second attempt
 * server_error         500, heals on the second or third attempt
 * stall                accepts the request and never answers it, heals on the second attempt
 * invalid_json         200 with half a JSON text, heals on the second attempt
 * content_filter       400, never heals
 * content_filter_once  400, heals when the same body is sent again, whoever sends it
 */
export type ErrorClass = (typeof errorClasses)[number]

export type Knobs = {
  /** Time to the first token. */
  ttftMs: number
  tokensPerSecond: number
  /** 0..1: each time is drawn between (1 - jitter) and (1 + jitter) of its value. */
  jitter: number
  /** Requests answered at once, per model name. */
  concurrencyMax: number
  /** Requests that wait for a place; one more gets 429. */
  queueMax: number
  /** What `Retry-After` says. */
  retryAfterMs: number
  /** Share of requests, 0..1, per class. Their sum is at most 1. Stating any of them replaces all that were set before. */
  errorRates: Readonly<Record<ErrorClass, number>>
}

export type KnobOverrides = Partial<Omit<Knobs, 'errorRates'>> & {
  errorRates?: Partial<Record<ErrorClass, number>>
}

const noErrors: Readonly<Record<ErrorClass, number>> = {
  rate_limit: 0,
  server_error: 0,
  stall: 0,
  invalid_json: 0,
  content_filter: 0,
  content_filter_once: 0,
}

// Guesses: a small model on one card, quick enough for a demonstration.
const chatKnobs: Knobs = {
  ttftMs: 200,
  tokensPerSecond: 30,
  jitter: 0.4,
  concurrencyMax: 64,
  queueMax: 1024,
  retryAfterMs: 300,
  errorRates: noErrors,
}

const modelKnobs: Readonly<Record<string, Knobs>> = {
  'sim/chat': chatKnobs,
  'sim/echo': { ...chatKnobs, ttftMs: 2, tokensPerSecond: 20_000, concurrencyMax: 512 },
  'sim/json': { ...chatKnobs, tokensPerSecond: 40 },
  'sim/embed': { ...chatKnobs, ttftMs: 15, tokensPerSecond: 1e6 },
  'sim/slow': { ...chatKnobs, ttftMs: 1_500, tokensPerSecond: 10, concurrencyMax: 8 },
  'sim/flaky': {
    ...chatKnobs,
    errorRates: {
      rate_limit: 0.04,
      server_error: 0.05,
      stall: 0,
      invalid_json: 0.02,
      content_filter: 0.03,
      content_filter_once: 0.03,
    },
  },
}

export const simulatedModels: readonly string[] = Object.keys(modelKnobs)

/** `sim/chat?ttft=50` → `sim/chat`. */
export function baseModel(model: string): string {
  const cut = model.indexOf('?')
  return cut < 0 ? model : model.slice(0, cut)
}

/**
 * @returns null when no such simulated model exists.
 * @throws RefusedError `invalid_knob` for a suffix that cannot be read.
 */
export function knobsOf(model: string, overrides: KnobOverrides): Knobs | null {
  const base = modelKnobs[baseModel(model)]
  if (base === undefined) return null
  const served = merge(base, overrides)
  const cut = model.indexOf('?')
  return cut < 0 ? served : merge(served, readSuffix(model.slice(cut + 1)))
}

function merge(knobs: Knobs, overrides: KnobOverrides): Knobs {
  const errorRates =
    overrides.errorRates === undefined ? knobs.errorRates : { ...noErrors, ...overrides.errorRates }
  const merged = { ...knobs, ...overrides, errorRates }
  const sum = Object.values(merged.errorRates).reduce((total, rate) => total + rate, 0)
  if (sum > 1.000001)
    throw new RefusedError('invalid_knob', `error rates add up to ${sum}; they may reach 1 at most`)
  return merged
}

type NumberKnob = Exclude<keyof Knobs, 'errorRates'>

/** Words of the model suffix. Times are milliseconds, rates 0..1. */
const numberWords: Readonly<Record<string, { knob: NumberKnob; min: number; max: number }>> = {
  ttft: { knob: 'ttftMs', min: 0, max: 600_000 },
  tps: { knob: 'tokensPerSecond', min: 0.1, max: 1e9 },
  jitter: { knob: 'jitter', min: 0, max: 1 },
  concurrency: { knob: 'concurrencyMax', min: 1, max: 100_000 },
  queue: { knob: 'queueMax', min: 0, max: 100_000 },
  retry_after: { knob: 'retryAfterMs', min: 0, max: 600_000 },
}

const rateWords: Readonly<Record<string, ErrorClass>> = {
  e429: 'rate_limit',
  e500: 'server_error',
  stall: 'stall',
  badjson: 'invalid_json',
  filter: 'content_filter',
  filter_once: 'content_filter_once',
}

/** What `errors=R` is shared among, in equal parts. */
const commonErrors: readonly ErrorClass[] = ['rate_limit', 'server_error', 'invalid_json', 'content_filter']

function readSuffix(suffix: string): KnobOverrides {
  const read: Partial<Record<NumberKnob, number>> = {}
  const errorRates: Partial<Record<ErrorClass, number>> = {}
  for (const [word, text] of new URLSearchParams(suffix)) {
    const numberWord = numberWords[word]
    if (numberWord !== undefined) read[numberWord.knob] = readNumber(word, text, numberWord)
    else if (word === 'errors') {
      const rate = readNumber(word, text, { min: 0, max: 1 })
      for (const errorClass of commonErrors) errorRates[errorClass] = rate / commonErrors.length
    } else {
      const errorClass = rateWords[word]
      if (errorClass === undefined) {
        const words = [...Object.keys(numberWords), 'errors', ...Object.keys(rateWords)]
        throw new RefusedError('invalid_knob', `unknown knob '${word}'; knobs are ${words.join(', ')}`)
      }
      errorRates[errorClass] = readNumber(word, text, { min: 0, max: 1 })
    }
  }
  return Object.keys(errorRates).length > 0 ? { ...read, errorRates } : read
}

function readNumber(word: string, text: string, range: { min: number; max: number }): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value >= range.min && value <= range.max) return value
  throw new RefusedError('invalid_knob', `knob ${word}=${text} must be ${range.min} to ${range.max}`)
}
