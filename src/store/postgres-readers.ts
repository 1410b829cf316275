/**
 * Reads from PostgreSQL over a few connections, opened as they are needed. Several statements of one call are one read-only
 * transaction, so that all see the same moment; they are sent together, and cost one way there and back.
 */
import { DATABASE_CONFLICTS_MAX, DATABASE_READERS_MAX } from '../domain/limits.ts'
import { sharedMonotonicMs } from '../lib/clock.ts'
import { messageOf, TroubleError } from '../lib/errors.ts'
import type { Row, RowPage, Statement } from './database.ts'
import { type PostgresLink, patienceFromNow } from './postgres-link.ts'
import type { PostgresSession, Reply } from './postgres-session.ts'
import { plain } from './postgres-setup.ts'
import { isConflict, isLostConnection, isStalePlan, storageTrouble } from './postgres-trouble.ts'

const BEGIN = plain('begin isolation level repeatable read read only')
const COMMIT = plain('commit')

export type PostgresReaders = {
  read(statements: readonly Statement[]): Promise<RowPage<Row>[]>
  close(): Promise<void>
}

export function createPostgresReaders(
  place: string,
  open: (number: number) => PostgresLink,
): PostgresReaders {
  const links: PostgresLink[] = []
  const busy = (link: PostgresLink): number => link.current()?.underWay() ?? 0
  const leastBusy = (): PostgresLink => {
    const least = links.toSorted((one, other) => busy(one) - busy(other))[0]
    if (least !== undefined && (busy(least) === 0 || links.length >= DATABASE_READERS_MAX)) return least
    const link = open(links.length)
    links.push(link)
    return link
  }
  return {
    async read(statements) {
      const giveUpAt = patienceFromNow()
      for (let tried = 1; ; tried += 1) {
        const session = await leastBusy().session(giveUpAt)
        try {
          return await readOnce(session, statements)
        } catch (thrown) {
          const isLost = isLostConnection(thrown)
          if (isLost) session.abandon()
          // A table has grown a column since the statement was prepared.
          else if (isStalePlan(thrown)) session.forgetStatements()
          else if (!isConflict(thrown)) throw storageTrouble(place, thrown) ?? thrown
          const isOver = isLost ? sharedMonotonicMs() > giveUpAt : tried > DATABASE_CONFLICTS_MAX
          if (isOver)
            throw new TroubleError('unreachable', `${place}: ${messageOf(thrown)}`, { cause: thrown })
        }
      }
    },
    async close() {
      await Promise.all(links.map((link) => link.close()))
    },
  }
}

async function readOnce(session: PostgresSession, statements: readonly Statement[]): Promise<RowPage<Row>[]> {
  const isAlone = statements.length === 1
  const sent: Promise<Reply>[] = [
    ...(isAlone ? [] : [session.run(BEGIN)]),
    ...statements.map((statement) => session.run(statement)),
    ...(isAlone ? [] : [session.run(COMMIT)]),
  ]
  // The first one says why; those behind it only that it failed. None is left behind.
  const settled = await Promise.allSettled(sent)
  const failed = settled.find((reply) => reply.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  const replies = await Promise.all(sent)
  return (isAlone ? replies : replies.slice(1, -1)).map(({ rows, isCut }) => ({ rows, isCut }))
}
