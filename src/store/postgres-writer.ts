/**
 * Writes to PostgreSQL, one transaction after the other on one connection; units that have come meanwhile share the next one.
 *
 * Invariants: a commit is sent only after every statement before it was answered. Each commit has a number, written with it into the
 * row of this process in `postgres_writers`; so when the connection breaks while a commit is under way, the next connection reads
 * whether it happened, under the row's lock, which an earlier transaction that still lives would hold. The number of a transaction
 * is not asked for (`pg_xact_status`), because after a crash the server may give the same one to somebody else.
 *
 * A crash of this process leaves its row behind, which a later start removes.
 */
import {
  DATABASE_CONFLICTS_MAX,
  DATABASE_RECONNECT_MS_MAX,
  DATABASE_RECONNECT_MS_MIN,
  UNITS_PER_COMMIT_MAX,
} from '../domain/limits.ts'
import { sharedMonotonicMs } from '../lib/clock.ts'
import { assert, BugError, messageOf, TroubleError } from '../lib/errors.ts'
import type { GroupOutcome, Unit, UnitOutcome, WriteCounters } from './database.ts'
import { takeBackGroup, writeGroup } from './postgres-group.ts'
import { type PostgresLink, patienceFromNow, pause, requireOpen } from './postgres-link.ts'
import type { PostgresSession } from './postgres-session.ts'
import { plain } from './postgres-setup.ts'
import { isConflict, isLostConnection, storageTrouble } from './postgres-trouble.ts'

type WaitingUnit = {
  unit: Unit
  /** When to give up waiting for the server, by `sharedMonotonicMs`. */
  giveUpAt: number
  resolve(outcome: UnitOutcome): void
  reject(cause: unknown): void
}

export type WriterOptions = {
  owner: string
  place: string
  link: PostgresLink
  closing: AbortSignal
}

export class PostgresWriter {
  readonly counters: WriteCounters = { units: 0, commits: 0 }
  readonly #options: WriterOptions
  /** Bounded by the gate in front of the database. */
  #waiting: WaitingUnit[] = []
  #running: Promise<void> | null = null
  /** Of the newest commit that is known to have happened. */
  #number = 0

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /** The number of the newest commit that was confirmed to anybody. */
  get confirmed(): number {
    return this.#number
  }

  write(unit: Unit): Promise<UnitOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ unit, giveUpAt: patienceFromNow(), resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    // What is asked for in the same turn shares the first commit.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const group = this.#waiting.slice(0, UNITS_PER_COMMIT_MAX)
      this.#waiting = this.#waiting.slice(group.length)
      await this.#store(group)
    }
    this.#running = null
  }

  async #store(group: readonly WaitingUnit[]): Promise<void> {
    try {
      const outcomes = await this.#commit(
        group.map(({ unit }) => unit),
        Math.max(...group.map(({ giveUpAt }) => giveUpAt)),
      )
      this.counters.units += group.length
      this.counters.commits += 1
      for (const [place, { resolve, reject }] of group.entries()) {
        const result = outcomes[place]
        if (result === undefined) reject(new Error('a unit has no outcome'))
        else if ('error' in result) reject(result.error)
        else resolve(result.outcome)
      }
    } catch (thrown) {
      for (const { reject } of group) reject(thrown)
    }
  }

  /** @throws TroubleError: nothing of the group is stored, except for `stopped`: unknown */
  async #commit(units: readonly Unit[], giveUpAt: number): Promise<GroupOutcome[]> {
    const { link, closing, place } = this.#options
    for (let conflicts = 0; ; ) {
      const session = await link.session(giveUpAt)
      try {
        const outcomes = await this.#attempt(session, units)
        if (outcomes !== null) return outcomes
      } catch (thrown) {
        if (isLostConnection(thrown)) session.abandon()
        else {
          await takeBackGroup(session).catch(() => session.abandon())
          if (!isConflict(thrown)) throw storageTrouble(place, thrown) ?? thrown
          conflicts += 1
          if (conflicts > DATABASE_CONFLICTS_MAX)
            throw new TroubleError(
              'unreachable',
              `others were in the way in ${place} ${conflicts} times: ${messageOf(thrown)}`,
              { cause: thrown },
            )
          await pause(DATABASE_RECONNECT_MS_MIN * conflicts, closing)
        }
        // Nothing of it was committed: it was not asked for.
        if (sharedMonotonicMs() > giveUpAt)
          throw new TroubleError('unreachable', `${place} was away for too long: ${messageOf(thrown)}`, {
            cause: thrown,
          })
      }
    }
  }

  /** @returns null when the connection broke during the commit and it is known that nothing of it happened */
  async #attempt(session: PostgresSession, units: readonly Unit[]): Promise<GroupOutcome[] | null> {
    const number = this.#number + 1
    const outcomes = await writeGroup(session, units, { owner: this.#options.owner, number })
    try {
      const { command } = await session.run(plain('commit'))
      assert(command === 'COMMIT', 'a transaction without a failed statement commits')
    } catch (thrown) {
      if (!isLostConnection(thrown)) throw thrown
      session.abandon()
      if (!(await this.#hasHappened(number))) return null
    }
    this.#number = number
    return outcomes
  }

  /** Waits for the server without a limit: until it is known, nobody may be told that it failed, nor that it was stored. */
  async #hasHappened(number: number): Promise<boolean> {
    const { link, owner, closing } = this.#options
    for (;;) {
      try {
        const session = await link.session(Number.POSITIVE_INFINITY)
        return (await numberOf(session, owner)) === number
      } catch (thrown) {
        if (thrown instanceof BugError) throw thrown
        requireOpen(closing)
        // Whatever keeps it from being found out now, the question stays.
        link.current()?.abandon()
        await pause(DATABASE_RECONNECT_MS_MAX, closing)
      }
    }
  }
}

/** Under the row's lock: an earlier transaction of this process that still lives is waited for. @returns null without a row */
export async function numberOf(session: PostgresSession, owner: string): Promise<number | null> {
  const sql = 'select number from postgres_writers where owner = $1 for update'
  const { rows } = await session.run({ sql, parameters: [owner] })
  const number = rows[0]?.number
  return typeof number === 'number' ? number : null
}
