/** What a simulated model answers, in the form of each endpoint of OpenAI's API. Pure: a request and a random source in, an answer out. */
import type { Random } from '../lib/random.ts'
import type { Answer, Ask, AskProblem } from './answer-shape.ts'
import { chatAnswer, completionAnswer } from './completion-answers.ts'
import { textIn } from './filler.ts'
import { embeddingsAnswer, moderationsAnswer } from './list-answers.ts'
import { responsesAnswer } from './responses-answer.ts'

/** @returns the text of the prompt, or what is wrong with the request. */
export function promptOf(path: string, body: Record<string, unknown>): { text: string } | AskProblem {
  const param = path === '/chat/completions' ? 'messages' : path === '/completions' ? 'prompt' : 'input'
  const value = body[param]
  if (value === undefined || value === null) {
    return { param, message: `Missing required parameter: '${param}'.` }
  }
  if (param === 'messages' && !Array.isArray(value)) {
    return { param, message: `Invalid type for '${param}': expected an array of objects.` }
  }
  return { text: textIn(value) }
}

export function answer(ask: Ask, text: string, random: Random): Answer {
  switch (ask.path) {
    case '/chat/completions':
      return chatAnswer(ask, text, random)
    case '/completions':
      return completionAnswer(ask, text, random)
    case '/responses':
      return responsesAnswer(ask, text, random)
    case '/embeddings':
      return embeddingsAnswer(ask, text, random)
    default:
      return moderationsAnswer(ask)
  }
}

export const answeredPaths: ReadonlySet<string> = new Set([
  '/chat/completions',
  '/completions',
  '/responses',
  '/embeddings',
  '/moderations',
])
