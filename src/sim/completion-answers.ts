/** Answers of `/chat/completions` and `/completions`. */
import type { Random } from '../lib/random.ts'
import { type Answer, type Ask, SIMULATED_FINGERPRINT, type StreamEvent } from './answer-shape.ts'
import { isObject } from './filler.ts'
import { CHOICES_MAX, choicesWanted, usageOf, type Written, write } from './written.ts'

export function chatAnswer(ask: Ask, text: string, random: Random): Answer {
  const written = Array.from({ length: choicesWanted(ask) }, () => write(ask, text, random))
  const tokens = written.reduce((sum, choice) => sum + choice.tokens.length, 0)
  const usage = usageOf(text, tokens)
  const head = { id: `chatcmpl-${ask.id}`, created: ask.created, model: ask.model }
  const mark = { system_fingerprint: SIMULATED_FINGERPRINT }
  const chunk = (choices: unknown[], rest: Record<string, unknown> = {}): StreamEvent => ({
    event: null,
    data: { ...head, object: 'chat.completion.chunk', ...mark, choices, ...rest },
  })
  const delta = (index: number, content: Record<string, unknown>, reason: string | null): StreamEvent =>
    chunk([{ index, delta: content, logprobs: null, finish_reason: reason }])
  const wantsUsage = isObject(ask.body.stream_options) && ask.body.stream_options.include_usage === true
  return {
    tokens,
    body: {
      ...head,
      object: 'chat.completion',
      choices: written.map((choice, index) => ({
        index,
        message: { role: 'assistant', content: choice.tokens.join(''), refusal: null },
        logprobs: null,
        finish_reason: choice.isCut ? 'length' : 'stop',
      })),
      usage,
      ...mark,
    },
    events: {
      first: written.map((_, index) => delta(index, { role: 'assistant', content: '' }, null)),
      perToken: written.flatMap((choice, index) =>
        choice.tokens.map((token) => delta(index, { content: token }, null)),
      ),
      last: [
        ...written.map((choice, index) => delta(index, {}, choice.isCut ? 'length' : 'stop')),
        ...(wantsUsage ? [chunk([], { usage })] : []),
        { event: null, data: '[DONE]' },
      ],
    },
  }
}

export function completionAnswer(ask: Ask, text: string, random: Random): Answer {
  const prompts =
    Array.isArray(ask.body.prompt) && typeof ask.body.prompt[0] === 'string' ? ask.body.prompt.length : 1
  const count = Math.min(prompts * choicesWanted(ask), CHOICES_MAX)
  const written = Array.from({ length: count }, () => write(ask, text, random))
  const tokens = written.reduce((sum, choice) => sum + choice.tokens.length, 0)
  const head = {
    id: `cmpl-${ask.id}`,
    object: 'text_completion',
    created: ask.created,
    model: ask.model,
    system_fingerprint: SIMULATED_FINGERPRINT,
  }
  const choice = (index: number, piece: string, reason: string | null): Record<string, unknown> => ({
    index,
    text: piece,
    logprobs: null,
    finish_reason: reason,
  })
  const chunk = (index: number, piece: string, reason: string | null): StreamEvent => ({
    event: null,
    data: { ...head, choices: [choice(index, piece, reason)] },
  })
  const reasonOf = (one: Written): string => (one.isCut ? 'length' : 'stop')
  return {
    tokens,
    body: {
      ...head,
      choices: written.map((one, index) => choice(index, one.tokens.join(''), reasonOf(one))),
      usage: usageOf(text, tokens),
    },
    events: {
      first: [],
      perToken: written.flatMap((one, index) => one.tokens.map((token) => chunk(index, token, null))),
      last: [
        ...written.map((one, index) => chunk(index, '', reasonOf(one))),
        { event: null, data: '[DONE]' },
      ],
    },
  }
}
