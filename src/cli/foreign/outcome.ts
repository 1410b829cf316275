/** What one line of an output or error file says became of its request. Services differ in where they put what failed. Pure. */
import { isObject, type JsonObject } from '../../jsonl/prompt-bytes.ts'

export type Outcome = 'succeeded' | 'failed' | 'expired' | 'cancelled'

const unanswered: ReadonlyMap<unknown, Outcome> = new Map([
  ['batch_expired', 'expired'],
  ['batch_cancelled', 'cancelled'],
])

export function outcomeOf({ response, error }: JsonObject): Outcome {
  if (isObject(error)) return unanswered.get(error.code) ?? 'failed'
  if (!isObject(response) || (error !== undefined && error !== null)) return 'failed'
  const status = response.status_code
  return typeof status === 'number' && status >= 200 && status < 300 ? 'succeeded' : 'failed'
}

export type Usage = { prompt: number; cached: number; completion: number; reasoning: number }

/** @returns null for an answer that states none */
export function usageOf({ response }: JsonObject): Usage | null {
  const body = isObject(response) && isObject(response.body) ? response.body : null
  const usage = body !== null && isObject(body.usage) ? body.usage : null
  if (usage === null) return null
  const prompt = countOf(usage.prompt_tokens ?? usage.input_tokens)
  if (prompt === null) return null
  return {
    prompt,
    cached: detailOf(usage.prompt_tokens_details ?? usage.input_tokens_details, 'cached_tokens'),
    completion: countOf(usage.completion_tokens ?? usage.output_tokens) ?? 0,
    reasoning: detailOf(usage.completion_tokens_details ?? usage.output_tokens_details, 'reasoning_tokens'),
  }
}

/** @returns null when the answer names none */
export function modelOf({ response }: JsonObject): string | null {
  const model = isObject(response) && isObject(response.body) ? response.body.model : null
  return typeof model === 'string' && model !== '' ? model : null
}

function detailOf(details: unknown, name: string): number {
  return (isObject(details) ? countOf(details[name]) : null) ?? 0
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null
}
