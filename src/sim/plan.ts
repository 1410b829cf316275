/**
 * What will happen to one simulated request, decided from the seed and the request alone: same request, same answer, usage,
 * latency and errors. Pure.
 */
import { createHash } from 'node:crypto'
import { createSeededRandom, type Random } from '../lib/random.ts'
import { type ErrorClass, errorClasses, type Knobs } from './knobs.ts'

export type Plan = {
  /** Null: an answer. */
  error: ErrorClass | null
  /** Attempts that meet the error before it heals. */
  errorAttempts: number
  /** Counted over every sender of the same body, or per `Idempotency-Key`. */
  errorCountedBy: 'body' | 'key'
  ttftMs: number
  /** Milliseconds between two tokens. */
  tokenMs: number
  /** Draws the answer itself. */
  random: Random
}

export function requestHash(facts: { seed: number; path: string; body: Uint8Array }): Buffer {
  return createHash('sha256').update(`${facts.seed} ${facts.path} `).update(facts.body).digest()
}

/** @param text all text of the prompt; a directive in it, see `directiveIn`, wins over the error rates. */
export function planRequest(hash: Buffer, knobs: Knobs, text: string): Plan {
  const random = createSeededRandom(hash.readUInt32LE(0))
  const drawn = directiveIn(text) ?? drawError(random.float(), random.float(), knobs)
  const jittered = (value: number): number => value * (1 + knobs.jitter * (2 * random.float() - 1))
  const ttftMs = jittered(knobs.ttftMs)
  const tokenMs = jittered(1000 / knobs.tokensPerSecond)
  return { ...drawn, ttftMs, tokenMs, random: createSeededRandom(hash.readUInt32LE(4)) }
}

type DrawnError = Pick<Plan, 'error' | 'errorAttempts' | 'errorCountedBy'>

const directive = new RegExp(`\\[sim:(${errorClasses.join('|')})(?::(\\d{1,3}))?\\]`)

/**
 * A prompt may ask for its own failure: `[sim:content_filter]` fails always, `[sim:server_error:2]` the first two times
 * that this body is sent.
 */
function directiveIn(text: string): DrawnError | null {
  const match = directive.exec(text)
  if (match === null) return null
  // The expression lists the error classes, so the first group is one of them.
  const error = match[1] as ErrorClass
  const unstated = error === 'content_filter_once' ? 1 : Number.POSITIVE_INFINITY
  const errorAttempts = match[2] === undefined ? unstated : Number(match[2])
  return { error, errorAttempts, errorCountedBy: 'body' }
}

function drawError(which: number, howLong: number, knobs: Knobs): DrawnError {
  let below = 0
  for (const error of errorClasses) {
    below += knobs.errorRates[error]
    if (which < below) {
      const errorCountedBy = error === 'content_filter_once' ? 'body' : 'key'
      return { error, errorAttempts: naturalAttempts(error, howLong), errorCountedBy }
    }
  }
  return { error: null, errorAttempts: 0, errorCountedBy: 'key' }
}

function naturalAttempts(error: ErrorClass, draw: number): number {
  if (error === 'content_filter') return Number.POSITIVE_INFINITY
  return error === 'server_error' && draw >= 0.5 ? 2 : 1
}
