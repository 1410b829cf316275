/** One request to the server, whose reply may never come. */

/** A reply, or null when the connection broke before there was one: the fate of the request is unknown. */
export type Received<T> = { status: number; body: T } | null

/** @returns the body parsed when it is JSON, else as text; the caller states its shape */
export async function ask<T>(url: string, init: RequestInit): Promise<Received<T>> {
  try {
    const reply = await fetch(url, init)
    const text = await reply.text()
    const isJson = reply.headers.get('content-type')?.startsWith('application/json') ?? false
    return { status: reply.status, body: (isJson ? JSON.parse(text) : text) as T }
  } catch {
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
