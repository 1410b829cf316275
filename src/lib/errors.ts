/**
 * Three kinds of failure, told apart by type:
 *   RefusedError  the caller is wrong: stable code, becomes a 4xx or a usage message;
 *   TroubleError  the world is wrong: wait or retry, `cause` is kept;
 *   BugError      we are wrong: thrown by `assert`, ends the process or the request.
 * Messages name the thing, the value, the limit and the next step; never payloads or keys.
 */

export class RefusedError extends Error {
  readonly code: string
  /** HTTP status this refusal has on the wire. */
  readonly status: number
  /** Dotted path of the offending parameter, or null. */
  readonly param: string | null
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    options: { status?: number; param?: string | null; details?: Record<string, unknown> } = {},
  ) {
    super(message)
    this.name = 'RefusedError'
    this.code = code
    this.status = options.status ?? 400
    this.param = options.param ?? null
    this.details = options.details ?? {}
  }
}

/** `unsupported`: written by a version of the program whose files this one does not read; whole, and not to be touched. */
export type TroubleCode =
  | 'disk_full'
  | 'disk_failed'
  | 'unreachable'
  | 'interrupted'
  | 'damaged'
  | 'unsupported'
  | 'stopped'

export class TroubleError extends Error {
  readonly code: TroubleCode

  constructor(code: TroubleCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'TroubleError'
    this.code = code
  }
}

export class BugError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'BugError'
  }
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message)
}

export function unreachable(value: never): never {
  throw new BugError(`unreachable value: ${String(value)}`)
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The system's error code (`ENOSPC`, `ECONNREFUSED`, …) of anything that was thrown, or null. */
export function systemCodeOf(thrown: unknown): string | null {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return null
  return typeof thrown.code === 'string' ? thrown.code : null
}
