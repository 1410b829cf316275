/** A request to the simulated model and its answer, before they become HTTP. */

/** The mark of everything that the simulated model says. */
export const SIMULATED_FINGERPRINT = 'dw-simulated'

export type Ask = {
  /** Path below `/v1`, for example `/chat/completions`. */
  path: string
  model: string
  body: Record<string, unknown>
  /** Stable for the same request. */
  id: string
  /** Seconds since the epoch. */
  created: number
}

export type Answer = {
  /** Tokens that take time to come. */
  tokens: number
  body: Record<string, unknown>
  /** Server-sent events in place of the body; null where the endpoint cannot stream. */
  events: { first: StreamEvent[]; perToken: StreamEvent[]; last: StreamEvent[] } | null
}

export type StreamEvent = { event: string | null; data: Record<string, unknown> | '[DONE]' }

export type AskProblem = { param: string; message: string }
