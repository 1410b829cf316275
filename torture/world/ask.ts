/** One request to the server, whose reply may never come. */

/** A reply, or null when the connection broke before there was one: the fate of the request is unknown. */
export type Received<T> = { status: number; body: T } | null

/** A server that stood still for a minute, or had it all to do on a busy machine, still answers within this. */
const REPLY_MS_MAX = 90_000

/**
 * @returns the body parsed when it is JSON, else as text; the caller states its shape
 * @throws DOMException `TimeoutError` when there is no reply and the connection is not broken either
 */
export async function ask<T>(url: string, init: RequestInit): Promise<Received<T>> {
  try {
    const reply = await fetch(url, { ...init, signal: AbortSignal.timeout(REPLY_MS_MAX) })
    const text = await reply.text()
    const isJson = reply.headers.get('content-type')?.startsWith('application/json') ?? false
    return { status: reply.status, body: (isJson ? JSON.parse(text) : text) as T }
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'TimeoutError') throw thrown
    // The connection broke: that is what the caller is told.
    return null
  }
}

export function post(body: unknown): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** A server that drains answers what it still can, and this to everything else. */
export function isStopping(reply: { status: number }): boolean {
  return reply.status === 503
}
