/** What happens, for programs: one JSON object a line, apart from the data and from the words. The schema is `dw schema event`. */
import { closeSync, openSync, writeSync } from 'node:fs'
import type { WireBatch } from '../contract/wire.ts'
import { messageOf } from '../lib/errors.ts'
import { usageError } from './cli-error.ts'
import { printableJson } from './printable.ts'

const SCHEMA = 'dw.event/v1'

/** Where a batch stands. Null: not known. */
export type Standing = {
  batch_id: string
  status: string | null
  done: number
  total: number
  failed: number
}

/** Instants are seconds, as everywhere on the wire. */
export type CliEvent =
  | ({ event: 'submitted'; deadline_at: number | null } & Standing)
  | ({
      event: 'progress'
      req_per_s: number | null
      tok_per_s: number | null
      eta_s: number | null
      deadline_at: number | null
      /** Why it does not go on, or why nothing newer is known. */
      reason: string | null
    } & Standing)
  | ({ event: 'ended' } & Standing)
  /** Bytes that are read or sent. */
  | { event: 'transfer'; label: string; bytes: number; total_bytes: number }
  | { event: 'warning'; message: string }

export function eventLine(event: CliEvent): string {
  const { event: name, ...rest } = event
  return `${printableJson({ event: name, schema: SCHEMA, at: Math.floor(Date.now() / 1_000), ...rest })}\n`
}

/** A batch that was made. */
export function submittedEvent(batch: WireBatch): CliEvent {
  const { completed, failed, total } = batch.request_counts ?? { completed: 0, failed: 0, total: 0 }
  const standing = { batch_id: batch.id, status: batch.status, done: completed + failed, total, failed }
  return { event: 'submitted', ...standing, deadline_at: batch.expires_at ?? null }
}

export type EventsFile = { write(event: CliEvent): void; end(): void }

/** Begins the file anew: it tells of one command. @throws CliError usage when it cannot be written */
export function createEventsFile(path: string): EventsFile {
  try {
    const file = openSync(path, 'w')
    return { write: (event) => void writeSync(file, eventLine(event)), end: () => closeSync(file) }
  } catch (thrown) {
    throw usageError(`--events-file ${path} cannot be written: ${messageOf(thrown)}`)
  }
}
