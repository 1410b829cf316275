/** The few calls of the wire that several tests make, with plain `fetch`: no client of ours between the test and the server. */
import { openAsBlob } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export type WireBatch = {
  id: string
  status: string
  input_file_id: string
  output_file_id: string | null
  error_file_id: string | null
  request_counts: { total: number; completed: number; failed: number }
}

export async function ask<T>(url: string, init: RequestInit = {}): Promise<T> {
  const reply = await fetch(url, init)
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${reply.status} from ${url}: ${text}`)
  // The caller states the shape of the reply.
  return JSON.parse(text) as T
}

/** @returns the id of the new file */
export async function uploadFile(server: string, path: string): Promise<string> {
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', await openAsBlob(path), 'requests.jsonl')
  return (await ask<{ id: string }>(`${server}/v1/files`, { method: 'POST', body: form })).id
}

export function createBatch(
  server: string,
  inputFileId: string,
  more: Record<string, unknown> = {},
): Promise<WireBatch> {
  return ask(`${server}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      input_file_id: inputFileId,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      ...more,
    }),
  })
}

export function getBatch(server: string, id: string): Promise<WireBatch> {
  return ask(`${server}/v1/batches/${id}`)
}

/** The text of a file; empty for null. */
export async function readContent(server: string, fileId: string | null): Promise<string> {
  if (fileId === null) return ''
  const reply = await fetch(`${server}/v1/files/${fileId}/content`)
  if (!reply.ok) throw new Error(`${reply.status} for the content of ${fileId}: ${await reply.text()}`)
  return reply.text()
}

export const endedStatuses: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled'])

/** Guess: between two looks at a batch that is at work. The wire offers nothing to wait on. */
const LOOK_MS = 20

/** Looks at the batch until it is as wanted. @throws when that takes longer than `withinMs` */
export async function batchWhen(
  server: string,
  id: string,
  isWanted: (batch: WireBatch) => boolean,
  withinMs = 60_000,
): Promise<WireBatch> {
  const giveUpAt = performance.now() + withinMs
  for (;;) {
    const batch = await getBatch(server, id)
    if (isWanted(batch)) return batch
    if (performance.now() > giveUpAt) throw new Error(`waited in vain: ${JSON.stringify(batch)}`)
    await delay(LOOK_MS)
  }
}
