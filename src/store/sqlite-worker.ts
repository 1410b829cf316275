/**
 * The `db` thread: owns the one connection that writes. Units that have arrived by the time the thread is free share one commit.
 * It ends by message, after everything that was queued is committed and answered; a sync that failed ends it at once, without an
 * answer, because nobody then knows what is stored.
 */
import { UNITS_PER_COMMIT_MAX } from '../domain/limits.ts'
import { assert, messageOf } from '../lib/errors.ts'
import { receivedWorkerData, serveWorker } from '../lib/worker-channel.ts'
import type { Row, RowPage, Statement, Unit, UnitOutcome, WriteCounters } from './database.ts'
import { openSqliteConnection, type SqliteConnection, type SqliteSettings } from './sqlite-connection.ts'
import { isFailedSync } from './sqlite-trouble.ts'

export type SqliteWorkerData = { path: string; pagesMax: number | null }

type WaitingUnit = { unit: Unit; resolve(outcome: UnitOutcome): void; reject(cause: unknown): void }

const { path, pagesMax } = receivedWorkerData<SqliteWorkerData>()
const counters: WriteCounters = { units: 0, commits: 0 }
let connection: SqliteConnection | null = null
/** Bounded by the main thread, which has only so many calls open. */
let waiting: WaitingUnit[] = []

function opened(): SqliteConnection {
  assert(connection !== null, 'the database is used before it is open')
  return connection
}

function enqueue(unit: Unit): Promise<UnitOutcome> {
  // Messages that are here already are all handed over before an immediate runs.
  if (waiting.length === 0) setImmediate(commitWaiting)
  return new Promise((resolve, reject) => waiting.push({ unit, resolve, reject }))
}

function commitWaiting(): void {
  const group = waiting.slice(0, UNITS_PER_COMMIT_MAX)
  waiting = waiting.slice(group.length)
  if (waiting.length > 0) setImmediate(commitWaiting)
  if (group.length === 0) return
  commit(group)
}

function commit(group: readonly WaitingUnit[]): void {
  try {
    const outcomes = opened().writeGroup(group.map(({ unit }) => unit))
    counters.units += group.length
    counters.commits += 1
    for (const [place, { resolve, reject }] of group.entries()) {
      const result = outcomes[place]
      if (result === undefined) reject(new Error('a unit has no outcome'))
      else if ('error' in result) reject(result.error)
      else resolve(result.outcome)
    }
  } catch (thrown) {
    if (thrown instanceof Error && isFailedSync(thrown.cause)) {
      throw new Error(`a sync failed, what is stored is unknown: ${messageOf(thrown)}`, { cause: thrown })
    }
    for (const { reject } of group) reject(thrown)
  }
}

serveWorker({
  open(): SqliteSettings {
    connection = openSqliteConnection(path, pagesMax)
    return connection.settings
  },
  read: (statements: readonly Statement[]): RowPage<Row>[] => opened().read(statements),
  write: (unit: Unit): Promise<UnitOutcome> => enqueue(unit),
  counters: (): WriteCounters => counters,
  async stop(): Promise<void> {
    while (waiting.length > 0) commitWaiting()
    connection?.close()
    // Answers leave in the turn after their promises; the port must still be open then.
    await new Promise((resolve) => setImmediate(resolve))
  },
})
