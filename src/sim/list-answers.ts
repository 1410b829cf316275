/** Answers of `/embeddings` and `/moderations`. */
import type { Random } from '../lib/random.ts'
import { type Answer, type Ask, SIMULATED_FINGERPRINT } from './answer-shape.ts'
import { countPromptTokens, textIn, unitVector } from './filler.ts'

const DIMENSIONS_DEFAULT = 384
const DIMENSIONS_MAX = 4096

export function embeddingsAnswer(ask: Ask, text: string, random: Random): Answer {
  const input = ask.body.input
  const count = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1
  const wanted = ask.body.dimensions
  const dimensions =
    typeof wanted === 'number' && wanted >= 1
      ? Math.min(Math.floor(wanted), DIMENSIONS_MAX)
      : DIMENSIONS_DEFAULT
  const data = Array.from({ length: count }, (_, index) => {
    const vector = unitVector(random, dimensions)
    const isBase64 = ask.body.encoding_format === 'base64'
    const embedding = isBase64 ? Buffer.from(vector.buffer).toString('base64') : [...vector]
    return { object: 'embedding', index, embedding }
  })
  const promptTokens = countPromptTokens(text)
  return {
    tokens: 0,
    body: {
      object: 'list',
      data,
      model: ask.model,
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
      system_fingerprint: SIMULATED_FINGERPRINT,
    },
    events: null,
  }
}

const moderationCategories = ['harassment', 'hate', 'illicit', 'self-harm', 'sexual', 'violence']

export function moderationsAnswer(ask: Ask): Answer {
  const input = ask.body.input
  const texts = Array.isArray(input) ? input.map(textIn) : [textIn(input)]
  const results = texts.map((text) => {
    const flagged = moderationCategories.map(
      (category) => [category, text.toLowerCase().includes(category)] as const,
    )
    return {
      flagged: flagged.some(([, isFlagged]) => isFlagged),
      categories: Object.fromEntries(flagged),
      category_scores: Object.fromEntries(
        flagged.map(([name, isFlagged]) => [name, isFlagged ? 0.97 : 0.001]),
      ),
    }
  })
  return {
    tokens: 0,
    body: { id: `modr-${ask.id}`, model: ask.model, results, system_fingerprint: SIMULATED_FINGERPRINT },
    events: null,
  }
}
