/** Requests as a caller has them, made into the lines of an input file while it is uploaded. */
import { InvalidRequestError } from './run-errors.ts'

/** A request, or a full line of an input file. Fields that are not named here are sent as they are. */
export type RunRequest = {
  /** `request-1`, `request-2` … by place where it is left out. */
  custom_id?: string
  method?: 'POST'
  /** The endpoint of the run where it is left out. */
  url?: string
  body: Readonly<Record<string, unknown>>
}

/** What can be gone through again is sent again after a cut connection; a generator or stream is sent once. */
export type RunRequests = Iterable<RunRequest> | AsyncIterable<RunRequest>

/** What is known once the last request has been taken. */
export type Sent = { count: number; firstUrl: string | null }

/** A piece that goes to the network at a time, unless one line is longer. */
const PIECE_CHARACTERS = 64 * 1024

/** @param sent begun anew with each call. signal: nothing more is taken once it is aborted, whoever still reads */
export async function* encodeRequests(
  requests: RunRequests,
  { sent, endpoint, signal }: { sent: Sent; endpoint: string; signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  sent.count = 0
  sent.firstUrl = null
  const encoder = new TextEncoder()
  let piece = ''
  for await (const request of requests) {
    signal?.throwIfAborted()
    piece += lineOf(request, { index: sent.count, endpoint })
    sent.firstUrl ??= request.url ?? endpoint
    sent.count += 1
    if (piece.length < PIECE_CHARACTERS) continue
    yield encoder.encode(piece)
    piece = ''
  }
  if (sent.count === 0) throw new InvalidRequestError(null, 'there are no requests')
  if (piece !== '') yield encoder.encode(piece)
}

/** Whether a second iteration begins at the first request again. */
export function isRepeatable(requests: RunRequests): boolean {
  if (Symbol.asyncIterator in requests) return false
  // Iterating a generator, or any iterator, gives itself: what has been taken is gone.
  return !('next' in requests)
}

function lineOf(request: RunRequest, { index, endpoint }: { index: number; endpoint: string }): string {
  // The type forbids what is checked here; a program without types may send it all the same.
  const given: unknown = request
  if (typeof given !== 'object' || given === null) throw new InvalidRequestError(index, 'it is no object')
  const { body, custom_id: id } = request
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new InvalidRequestError(index, "its 'body' is no object")
  if (id !== undefined && (typeof id !== 'string' || id === ''))
    throw new InvalidRequestError(index, "its 'custom_id' is no text")
  const [customId, url] = [id ?? `request-${index + 1}`, request.url ?? endpoint]
  const line = { custom_id: customId, method: 'POST', url, ...request }
  // Again, in place: a field that is there but undefined would be left out.
  Object.assign(line, { custom_id: customId, method: 'POST', url })
  return `${JSON.stringify(line)}\n`
}
