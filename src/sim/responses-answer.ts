/** Answers of `/responses`. */
import type { Random } from '../lib/random.ts'
import { type Answer, type Ask, SIMULATED_FINGERPRINT, type StreamEvent } from './answer-shape.ts'
import { countPromptTokens, isObject } from './filler.ts'
import { write } from './written.ts'

export function responsesAnswer(ask: Ask, text: string, random: Random): Answer {
  const written = write(ask, text, random)
  const content = written.tokens.join('')
  const inputTokens = countPromptTokens(text)
  const itemId = `msg_${ask.id}`
  const part = { type: 'output_text', text: content, annotations: [], logprobs: [] }
  const item = { id: itemId, type: 'message', status: 'completed', role: 'assistant', content: [part] }
  const body = {
    id: `resp_${ask.id}`,
    object: 'response',
    created_at: ask.created,
    status: written.isCut ? 'incomplete' : 'completed',
    error: null,
    incomplete_details: written.isCut ? { reason: 'max_output_tokens' } : null,
    instructions: ask.body.instructions ?? null,
    metadata: isObject(ask.body.metadata) ? ask.body.metadata : {},
    model: ask.model,
    output: [item],
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
    usage: {
      input_tokens: inputTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: written.tokens.length,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: inputTokens + written.tokens.length,
    },
    system_fingerprint: SIMULATED_FINGERPRINT,
  }
  let sequence = 0
  const event = (name: string, data: Record<string, unknown>): StreamEvent => ({
    event: name,
    data: { type: name, sequence_number: sequence++, ...data },
  })
  const at = { item_id: itemId, output_index: 0, content_index: 0 }
  return {
    tokens: written.tokens.length,
    body,
    events: {
      first: [
        event('response.created', { response: { ...body, status: 'in_progress', output: [], usage: null } }),
        event('response.output_item.added', {
          output_index: 0,
          item: { ...item, status: 'in_progress', content: [] },
        }),
        event('response.content_part.added', { ...at, part: { ...part, text: '' } }),
      ],
      perToken: written.tokens.map((token) => event('response.output_text.delta', { ...at, delta: token })),
      last: [
        event('response.output_text.done', { ...at, text: content }),
        event('response.content_part.done', { ...at, part }),
        event('response.output_item.done', { output_index: 0, item }),
        event(written.isCut ? 'response.incomplete' : 'response.completed', { response: body }),
      ],
    },
  }
}
