/**
 * Keeps one connection to PostgreSQL open for whoever asks: opens it when it is needed, anew when it was lost, and tells after how
 * long it gave up. A server that is away for up to a minute is waited for.
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  DATABASE_AWAY_MS_MAX,
  DATABASE_RECONNECT_MS_MAX,
  DATABASE_RECONNECT_MS_MIN,
} from '../domain/limits.ts'
import { sharedMonotonicMs } from '../lib/clock.ts'
import { messageOf, TroubleError } from '../lib/errors.ts'
import { openPostgresSession, type PostgresSession } from './postgres-session.ts'
import { requireUsable, setUpSession } from './postgres-setup.ts'
import { isLostConnection, isStartingUp, sqlStateOf, unreachableDatabase } from './postgres-trouble.ts'

export type LinkOptions = {
  url: string
  /** How messages name the database: without its password. */
  place: string
  /** Name of its connections. */
  name: string
  isUnsafeAllowed: boolean
  /** Aborted when the database is closed. */
  closing: AbortSignal
  /** Runs on each new connection before anybody gets it. */
  prepare?: (session: PostgresSession) => Promise<void>
}

export type PostgresLink = {
  /**
   * The connection, waited for until `giveUpAt` of `sharedMonotonicMs`; tried at least once.
   * @throws TroubleError `unreachable`, `stopped`, and what `requireUsable` and `prepare` throw
   */
  session(giveUpAt: number): Promise<PostgresSession>
  /** The connection as it is, for counting what is under way on it. */
  current(): PostgresSession | null
  close(): Promise<void>
}

export function createPostgresLink(options: LinkOptions): PostgresLink {
  let current: PostgresSession | null = null
  let opening: Promise<PostgresSession> | null = null

  const once = async (): Promise<PostgresSession> => {
    opening ??= openPrepared(options)
      .then((session) => (current = session))
      .finally(() => {
        opening = null
      })
    return opening
  }
  return {
    async session(giveUpAt) {
      for (
        let pauseMs = DATABASE_RECONNECT_MS_MIN;
        ;
        pauseMs = Math.min(pauseMs * 2, DATABASE_RECONNECT_MS_MAX)
      ) {
        requireOpen(options.closing)
        if (current !== null && !current.isLost()) return current
        try {
          return await once()
        } catch (thrown) {
          requireOpen(options.closing)
          if (thrown instanceof TroubleError) throw thrown
          if (sharedMonotonicMs() + pauseMs > giveUpAt) throw unreachableDatabase(options.place, thrown)
        }
        await pause(pauseMs, options.closing)
      }
    },
    current: () => current,
    async close() {
      await opening?.catch(() => {
        // There is nothing to close then.
      })
      await current?.close()
    },
  }
}

/** When to give up waiting for what was asked for now. */
export function patienceFromNow(): number {
  return sharedMonotonicMs() + DATABASE_AWAY_MS_MAX
}

async function openPrepared(options: LinkOptions): Promise<PostgresSession> {
  const { url, name, place, isUnsafeAllowed, prepare } = options
  const session = await openPostgresSession({ url, name })
  try {
    const settings = await setUpSession(session)
    // After a failover the old address may lead to a standby for a while.
    if (settings.isStandby) throw new Error('it is a standby, which takes no writes')
    requireUsable(place, settings, { isUnsafeAllowed })
    await prepare?.(session)
    return session
  } catch (thrown) {
    await session.close()
    throw thrown
  }
}

/** Waits; ends early, and without a word, when the database is closed. */
export async function pause(ms: number, closing: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: closing }).catch(() => {
    // Whoever waits looks at the signal next.
  })
}

/** @throws TroubleError `stopped` */
export function requireOpen(closing: AbortSignal): void {
  if (closing.aborted) throw new TroubleError('stopped', 'the database is closed')
}

/** Connects once, for a first look: what is wrong with the address or the account is told at once. @throws TroubleError */
export async function requireConnection(options: Pick<LinkOptions, 'url' | 'place' | 'name'>): Promise<void> {
  const giveUpAt = patienceFromNow()
  for (;;) {
    try {
      await (await openPostgresSession(options)).close()
      return
    } catch (thrown) {
      // Only a server that says it is starting is waited for.
      if (isStartingUp(thrown) && sharedMonotonicMs() < giveUpAt) await delay(DATABASE_RECONNECT_MS_MAX)
      else if (isLostConnection(thrown)) throw unreachableDatabase(options.place, thrown)
      else
        throw new TroubleError(
          'unreachable',
          `${options.place} does not let this server in: ${messageOf(thrown)} (${sqlStateOf(thrown)})`,
          { cause: thrown },
        )
    }
  }
}
