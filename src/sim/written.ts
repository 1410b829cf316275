/** The words of an answer, and what they count as. */
import type { Random } from '../lib/random.ts'
import type { Ask } from './answer-shape.ts'
import { countPromptTokens, fillerTokens, isObject, splitTokens, textIn, valueOfSchema } from './filler.ts'
import { baseModel } from './knobs.ts'

/** Guess: as many choices as one request may ask for. */
export const CHOICES_MAX = 128

export type Written = { tokens: string[]; isCut: boolean }

export function write(ask: Ask, text: string, random: Random): Written {
  const asked = ask.body.max_completion_tokens ?? ask.body.max_tokens ?? ask.body.max_output_tokens
  const tokensMax = typeof asked === 'number' && asked >= 1 ? asked : Number.POSITIVE_INFINITY
  const tokens = tokensOf(ask, text, random)
  return { tokens: tokens.slice(0, tokensMax), isCut: tokens.length > tokensMax }
}

function tokensOf(ask: Ask, text: string, random: Random): string[] {
  const model = baseModel(ask.model)
  if (model === 'sim/echo') return splitTokens(lastText(ask, text))
  const schema = schemaOf(ask.body)
  if (schema !== null || model === 'sim/json') {
    return splitTokens(JSON.stringify(valueOfSchema(schema ?? plainSchema, random)))
  }
  return fillerTokens(random, 8 + Math.floor(random.float() * 72))
}

const plainSchema = {
  type: 'object',
  properties: { answer: { type: 'string' }, confidence: { type: 'number', minimum: 0, maximum: 1 } },
}

/** The schema of `response_format` (chat) or `text.format` (responses); an empty one for plain JSON mode. */
function schemaOf(body: Record<string, unknown>): unknown {
  const format = body.response_format ?? (isObject(body.text) ? body.text.format : null)
  if (!isObject(format)) return null
  if (format.type === 'json_object') return plainSchema
  if (format.type !== 'json_schema') return null
  return (isObject(format.json_schema) ? format.json_schema.schema : format.schema) ?? plainSchema
}

function lastText(ask: Ask, text: string): string {
  const messages = ask.body.messages ?? ask.body.input
  if (!Array.isArray(messages)) return text
  const users = messages.filter((message) => isObject(message) && message.role === 'user')
  return textIn(users.at(-1) ?? messages.at(-1) ?? '')
}

export function choicesWanted(ask: Ask): number {
  const wanted = ask.body.n
  return typeof wanted === 'number' && wanted >= 1 ? Math.min(Math.floor(wanted), CHOICES_MAX) : 1
}

export function usageOf(text: string, completionTokens: number): Record<string, unknown> {
  const promptTokens = countPromptTokens(text)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  }
}
