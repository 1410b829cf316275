/** What a case of the suite is: what the engine does to some or all lines, and what must be true at the end. */
import type { Reply } from '../../test/kit/scripted-upstream.ts'
import type { CaseScript } from './engine.ts'

export type Case = {
  name: string
  script?: CaseScript
  /** Lines of the batch at so many calls at once; absent: three rounds of them. */
  lines?: (concurrency: number) => number
  /** The reply to `/v1/models` at that time of the case; null: the list. */
  models?: (atMs: number) => Reply | null
  /** Whether the engine's port is open at that time of the case. */
  isOpen?: (atMs: number) => boolean
  /** The engine speaks TLS, with a certificate that nobody knows. */
  hasTls?: boolean
  /** Where the server is told that the engine is; absent: where it is. */
  url?: (real: string) => string
  /** Longest step of the clock while nothing moves. */
  stepMsMax?: number
  expect: {
    /** Absent: `completed`. */
    status?: 'completed' | 'failed' | 'expired'
    /** Lines that fail, and how: by an answer of that status, or without one. */
    failing?: { isFailing: (line: number) => boolean; status: number | null; code: RegExp }
    /** Highest number of calls for one line; absent: 1. */
    callsPerLineMax?: number
    /** Highest number of calls beyond one for each line, at so many at once; absent: nothing beyond the bound per line. */
    callsMoreMax?: (concurrency: number) => number
    /** What `state_reason` says while the batch waits. */
    reason?: RegExp
    /** After the first call there is none for at least, and one again after at most, so many ms of the test clock. */
    silentMs?: { from: number; to: number }
    /** The batch takes at least so long. */
    lastsMs?: number
  }
}

/** Attempts that a line may use up; the server of the suite has the default. */
export const ATTEMPTS = 5

export const MINUTE_MS = 60_000
