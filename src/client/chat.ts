/** Chat completions: one answer whole, or piece by piece as the model writes it. For any service with OpenAI's route. */
import { ApiError } from './errors.ts'
import { serverSentEvents } from './server-sent-events.ts'
import type { Call } from './transport.ts'

export type ChatRequest = {
  model: string
  messages: readonly { role: 'system' | 'user'; content: string }[]
  max_tokens?: number
  max_completion_tokens?: number
  temperature?: number
  stream_options?: { include_usage: boolean }
}

export type ChatUsage = { promptTokens: number; completionTokens: number }

export type ChatPiece = {
  text: string
  /** Why the model stopped; null before it has. */
  finishReason: string | null
  usage: ChatUsage | null
  /** It asks for a tool in place of writing. */
  isToolCall: boolean
}

export type ChatReply<T> = {
  answer: T
  /** The simulated model answered. */
  isSimulated: boolean
}

type Reply = (call: Call) => Promise<Response>

export function createChatCalls(reply: Reply) {
  const ask = async (body: object, signal?: AbortSignal): Promise<Response> =>
    reply({ method: 'POST', path: '/chat/completions', json: body, signal })
  return {
    /** The answer as the service sent it. */
    async whole(request: ChatRequest, signal?: AbortSignal): Promise<ChatReply<Record<string, unknown>>> {
      const answer = await ask(request, signal)
      return { isSimulated: isSimulated(answer), answer: requireObject(await answer.text(), answer) }
    },
    /** The pieces end when the service says so; a stream that breaks off before throws. */
    async stream(request: ChatRequest, signal?: AbortSignal): Promise<ChatReply<AsyncIterable<ChatPiece>>> {
      const answer = await ask({ ...request, stream: true }, signal)
      return { isSimulated: isSimulated(answer), answer: piecesOf(answer) }
    },
  }
}

/** What a whole answer says, in the form of a piece. */
export function pieceOf(answer: Record<string, unknown>): ChatPiece {
  const choice = firstObject(answer.choices)
  const said = objectOf(choice?.message) ?? objectOf(choice?.delta)
  return {
    text: textOf(said?.content) + textOf(said?.refusal),
    finishReason: typeof choice?.finish_reason === 'string' ? choice.finish_reason : null,
    usage: usageOf(answer.usage),
    isToolCall: Array.isArray(said?.tool_calls) && said.tool_calls.length > 0,
  }
}

async function* piecesOf(reply: Response): AsyncGenerator<ChatPiece> {
  if (!isEventStream(reply)) {
    // A service that does not stream answers whole.
    yield pieceOf(requireObject(await reply.text(), reply))
    return
  }
  let isFinished = false
  for await (const data of serverSentEvents(reply.body ?? new ReadableStream())) {
    if (data === '[DONE]') return
    const event = requireObject(data, reply)
    if ('error' in event && event.error !== null) throw errorIn(event.error, reply)
    const piece = pieceOf(event)
    isFinished ||= piece.finishReason !== null
    yield piece
  }
  if (!isFinished) throw broken('the answer broke off before its end', reply)
}

function requireObject(text: string, reply: Response): Record<string, unknown> {
  try {
    const object = objectOf(JSON.parse(text))
    if (object !== null) return object
  } catch {
    // Told below, as anything else that is no object.
  }
  throw broken(`the answer is no JSON object: ${text.slice(0, 100)}`, reply)
}

function errorIn(error: unknown, reply: Response): ApiError {
  const facts = objectOf(error) ?? { message: String(error) }
  const { code, message } = facts
  return new ApiError({
    status: reply.status,
    code: typeof code === 'string' ? code : 'stream_error',
    param: null,
    message: typeof message === 'string' ? message : 'the service reported an error in its answer',
    requestId: reply.headers.get('x-request-id'),
  })
}

function broken(message: string, reply: Response): ApiError {
  const requestId = reply.headers.get('x-request-id')
  return new ApiError({ status: 502, code: 'answer_incomplete', param: null, message, requestId })
}

function isEventStream(reply: Response): boolean {
  return reply.headers.get('content-type')?.includes('event-stream') ?? false
}

function isSimulated(reply: Response): boolean {
  return reply.headers.get('x-dw-simulated') === 'true'
}

function usageOf(value: unknown): ChatUsage | null {
  const usage = objectOf(value)
  if (typeof usage?.prompt_tokens !== 'number') return null
  const { completion_tokens: completion } = usage
  return {
    promptTokens: usage.prompt_tokens,
    completionTokens: typeof completion === 'number' ? completion : 0,
  }
}

function firstObject(value: unknown): Record<string, unknown> | null {
  return Array.isArray(value) ? objectOf(value[0]) : null
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function objectOf(value: unknown): Record<string, unknown> | null {
  // A JSON object has string keys only.
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}
