/** What an error of PostgreSQL, or of the way to it, means. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
import { BugError, messageOf, systemCodeOf, TroubleError } from '../lib/errors.ts'

const STATE = /^[0-9A-Z]{5}$/
const READ_ONLY = '25006'
const IDLE_IN_TRANSACTION = '25P03'
const ADMIN_SHUTDOWN = '57P01'
const CRASH_SHUTDOWN = '57P02'
const STARTING_UP = '57P03'
const TOO_MANY_CONNECTIONS = '53300'
const SERIALIZATION_FAILURE = '40001'
const DEADLOCK = '40P01'
const LOCK_NOT_AVAILABLE = '55P03'
const CANCELED = '57014'
const DISK_FULL = '53100'
const FEATURE_NOT_SUPPORTED = '0A000'

/** The connection is of no more use: the server stops, has failed over to one that takes no writes, or gave us up. */
const ENDING: ReadonlySet<string> = new Set([
  READ_ONLY,
  IDLE_IN_TRANSACTION,
  ADMIN_SHUTDOWN,
  CRASH_SHUTDOWN,
  STARTING_UP,
  TOO_MANY_CONNECTIONS,
])
/** Somebody else was in the way; the same transaction may pass the next time. */
const CONFLICTS: ReadonlySet<string> = new Set([
  SERIALIZATION_FAILURE,
  DEADLOCK,
  LOCK_NOT_AVAILABLE,
  CANCELED,
])

/** The SQLSTATE, or null for an error that does not come from the server. */
export function sqlStateOf(thrown: unknown): string | null {
  const code = systemCodeOf(thrown)
  // The system's own codes (`EPIPE`) may have five letters too; only the server names a severity.
  const isServers = typeof thrown === 'object' && thrown !== null && 'severity' in thrown
  return code !== null && isServers && STATE.test(code) ? code : null
}

/** The connection broke, or the server ended it: what was under way on it is over, and another connection may do it. */
export function isLostConnection(thrown: unknown): boolean {
  if (thrown instanceof BugError || thrown instanceof TroubleError) return false
  const state = sqlStateOf(thrown)
  // What the client library throws besides is about its socket.
  return state === null || state.startsWith('08') || ENDING.has(state)
}

export function isConflict(thrown: unknown): boolean {
  return CONFLICTS.has(sqlStateOf(thrown) ?? '')
}

/** The server is there and will answer soon. */
export function isStartingUp(thrown: unknown): boolean {
  return sqlStateOf(thrown) === STARTING_UP
}

/** A statement was prepared before another program added a column to its table. */
export function isStalePlan(thrown: unknown): boolean {
  return sqlStateOf(thrown) === FEATURE_NOT_SUPPORTED && /cached plan/.test(messageOf(thrown))
}

/** @returns null when the statement was at fault, not the server: only its unit is refused then */
export function storageTrouble(place: string, thrown: unknown): TroubleError | null {
  if (thrown instanceof TroubleError) return thrown
  const state = sqlStateOf(thrown)
  if (state === null) return null
  const options = { cause: thrown }
  if (state === DISK_FULL)
    return new TroubleError('disk_full', `no space left where ${place} keeps its data`, options)
  if (state.startsWith('XX') && state !== 'XX000')
    return new TroubleError(
      'damaged',
      `${place} is damaged (${messageOf(thrown)}): restore it from a backup`,
      options,
    )
  // Insufficient resources, and errors of the server's own system.
  if (state.startsWith('53') || state.startsWith('58'))
    return new TroubleError('disk_failed', `${place}: ${messageOf(thrown)} (${state})`, options)
  return null
}

export function unreachableDatabase(place: string, cause: unknown): TroubleError {
  return new TroubleError('unreachable', `cannot reach ${place}: ${reasonOf(cause)}`, { cause })
}

/** A refused connection to several addresses has its reasons inside, and no message of its own. */
function reasonOf(thrown: unknown): string {
  const [first] = thrown instanceof AggregateError ? thrown.errors : []
  return messageOf(first ?? thrown)
}
