/**
 * The store on PostgreSQL. A server on its own holds a lock of the database for as long as its writing connection lives; a second one
 * refuses to start, and a server that finds the lock taken after its connection was lost ends before it writes anything.
 *
 * Beside the tables of the migrations there are two of its own: `postgres_writers` (a row per process, the number of its newest
 * commit) and `postgres_facts` (which data folder belongs to the database).
 */
import { setTimeout as delay } from 'node:timers/promises'
import { base32 } from '../domain/ids.ts'
import { DATABASE_SILENCE_MS_MAX, MIGRATION_SILENCE_MS_MAX, SERVER_LOCK_MS_MAX } from '../domain/limits.ts'
import { sharedMonotonicMs } from '../lib/clock.ts'
import { TroubleError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import { type Migration, migrate, migrations } from './migrations.ts'
import { createPostgresDatabase, type PostgresDatabase, writerName } from './postgres-database.ts'
import { requireConnection } from './postgres-link.ts'
import { printablePlace } from './postgres-place.ts'
import type { PostgresSession } from './postgres-session.ts'
import { plain } from './postgres-setup.ts'
import { numberOf } from './postgres-writer.ts'
import { createSqlStore } from './sql-store.ts'
import type { Store } from './store.ts'

export type PostgresStoreOptions = {
  /** `postgres://user:password@host:port/database`, as `libpq` takes it. */
  url: string
  /** This server must be the only one: the locks and results of its data folder are not shared. */
  isAlone: boolean
  isUnsafeAllowed: boolean
  random: Random
  /** Another server has taken over, or the database has lost what it had confirmed: the process must end. */
  onDeath: (cause: Error) => void
  /** The schema's history; this program's when absent. */
  known?: readonly Migration[]
}

export type PostgresStore = Store & {
  /** Commits since the store was opened; units that waited together share one. */
  commits(): Promise<number>
  /** The text kept under the name, stored now when there is none. */
  fact(name: string, text: string): Promise<string>
}

// Numbers of our own, by which the advisory locks of one database are told apart.
const SERVER_LOCK = 0x6477_0001
const MIGRATION_LOCK = 0x6477_0002
const LOCK_LOOK_MS = 50
const OWNER_BYTES = 10

const TABLES = [
  `create table if not exists postgres_writers (
    owner text collate "C" primary key, number bigint not null, opened_at timestamptz not null default now())`,
  'create table if not exists postgres_facts (name text collate "C" primary key, text text collate "C" not null)',
  // A process that has not ended by then is not of this world; it would end by itself at its next commit.
  "delete from postgres_writers where opened_at < now() - interval '1 year'",
]

/**
 * Opens the store, makes its tables when they are absent, and brings an older schema forward.
 * @throws TroubleError `unreachable` when the database cannot be had, or another server has it; `unsupported` when it is not one that
 *   can be used; `disk_failed` when it may lose what it has confirmed; `damaged` when it demands a newer program or holds other tables
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const { url, isAlone, isUnsafeAllowed, random, onDeath } = options
  const place = printablePlace(url)
  const owner = base32(random.bytes(OWNER_BYTES))
  let isOpen = false
  const database = createPostgresDatabase({
    url,
    place,
    owner,
    isUnsafeAllowed,
    async prepareWriter(session, confirmed) {
      try {
        await endOlderConnections(session, owner)
        if (isAlone) await lockForServer(session, place)
        if (isOpen) await requireNothingLost(session, { owner, place, confirmed })
      } catch (thrown) {
        // Before the store is open, whoever opens it is told.
        if (isOpen && thrown instanceof TroubleError) onDeath(thrown)
        throw thrown
      }
    },
  })
  try {
    await requireConnection({ url, place, name: writerName(owner) })
    await underMigrationLock(database, async (session) => {
      await requireOwnTables(session, place)
      for (const sql of TABLES) await session.run(plain(sql))
      await session.run({
        sql: 'insert into postgres_writers (owner, number) values ($1, 0)',
        parameters: [owner],
      })
      isOpen = true
      await migrate(database, options.known ?? migrations)
    })
  } catch (thrown) {
    await database.close()
    throw thrown
  }
  return {
    ...createSqlStore(database),
    commits: async () => (await database.counters()).commits,
    fact: async (name, text) => factOf(await database.writerSession(0), { name, text }),
  }
}

/** Migrations run once: servers that start at the same time wait for the one that came first. */
async function underMigrationLock(
  database: PostgresDatabase,
  act: (session: PostgresSession) => Promise<void>,
): Promise<void> {
  const session = await database.writerSession(0)
  session.allowSilence(MIGRATION_SILENCE_MS_MAX)
  await session.run(locking('pg_advisory_lock', MIGRATION_LOCK))
  await act(session)
  await session.run(locking('pg_advisory_unlock', MIGRATION_LOCK))
  session.allowSilence(DATABASE_SILENCE_MS_MAX)
}

/** Several installations may share a database, each in a schema of its own. */
function locking(call: string, lock: number) {
  return { sql: `select ${call}(${lock}, hashtext(current_schema()))::text as done`, parameters: [] }
}

/** A connection of this process that it has given up, but the server has not, still holds locks. */
async function endOlderConnections(session: PostgresSession, owner: string): Promise<void> {
  const sql = `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = $1 and usename = current_user and pid <> pg_backend_pid()`
  await session.run({ sql, parameters: [writerName(owner)] })
}

/** @throws TroubleError `unreachable` when another server has it */
async function lockForServer(session: PostgresSession, place: string): Promise<void> {
  const giveUpAt = sharedMonotonicMs() + SERVER_LOCK_MS_MAX
  for (;;) {
    const { rows } = await session.run(locking('pg_try_advisory_lock', SERVER_LOCK))
    if (rows[0]?.done === 'true') return
    if (sharedMonotonicMs() > giveUpAt)
      throw new TroubleError(
        'unreachable',
        `${place} is in use by another dw server: stop that one, or give this one a database of its own`,
      )
    // A server that has just been killed gives it back as soon as its connection is seen to be gone.
    await delay(LOCK_LOOK_MS)
  }
}

/** @throws TroubleError `damaged` when a commit that somebody was told of is not there */
async function requireNothingLost(
  session: PostgresSession,
  { owner, place, confirmed }: { owner: string; place: string; confirmed: number },
): Promise<void> {
  const number = await numberOf(session, owner)
  if (number !== null && number >= confirmed) return
  throw new TroubleError(
    'damaged',
    `${place} has lost commits that it had confirmed (the newest was ${confirmed}, it knows ${number ?? 'none'}): it failed over to ` +
      'a standby that was behind, or was restored; this server starts again from what is there',
  )
}

/** @throws TroubleError `damaged` when the schema holds tables and none of them is ours */
async function requireOwnTables(session: PostgresSession, place: string): Promise<void> {
  const sql = 'select tablename::text as name from pg_tables where schemaname = current_schema()'
  const { rows } = await session.run(plain(sql))
  if (rows.length === 0 || rows.some(({ name }) => name === 'postgres_writers')) return
  throw new TroubleError(
    'damaged',
    `${place} holds tables of another program (${rows[0]?.name}): name an empty database, ` +
      'or a schema of its own with ?options=-csearch_path%3DNAME',
  )
}

async function factOf(session: PostgresSession, fact: { name: string; text: string }): Promise<string> {
  const insert = 'insert into postgres_facts (name, text) values ($1, $2) on conflict do nothing'
  await session.run({ sql: insert, parameters: [fact.name, fact.text] })
  const select = 'select text from postgres_facts where name = $1'
  const { rows } = await session.run({ sql: select, parameters: [fact.name] })
  return String(rows[0]?.text)
}
