/** The main thread's side of the SQLite database: compiles statements, passes them to the `db` thread, bounds what waits there. */
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import { DATABASE_CALLS_OPEN_MAX, DATABASE_CALLS_WAITING_MAX } from '../domain/limits.ts'
import { TroubleError } from '../lib/errors.ts'
import { startWorker, workerUrl } from '../lib/worker-channel.ts'
import { createCallGate } from './call-gate.ts'
import {
  type Database,
  type Row,
  type RowPage,
  statementOf,
  type Unit,
  type UnitOutcome,
  type WriteCounters,
} from './database.ts'
import type { Tables } from './schema.ts'
import type { SqliteSettings } from './sqlite-connection.ts'
import type { SqliteWorkerData } from './sqlite-worker.ts'

export type SqliteOptions = {
  /** The database file; its folder exists. */
  path: string
  /** The thread ended by itself: what was being written is unknown, the process must end. */
  onDeath: (cause: Error) => void
  /** Bound of the file's size in pages of 4 KiB; none when absent. */
  pagesMax?: number
}

export type SqliteDatabase = Database & { readonly settings: SqliteSettings }

export async function openSqliteDatabase(options: SqliteOptions): Promise<SqliteDatabase> {
  const data: SqliteWorkerData = { path: options.path, pagesMax: options.pagesMax ?? null }
  const worker = startWorker(workerUrl(import.meta.url, 'sqlite-worker'), { data, onDeath: options.onDeath })
  const build = createBuilder()
  const gate = createCallGate({ openMax: DATABASE_CALLS_OPEN_MAX, waitingMax: DATABASE_CALLS_WAITING_MAX })
  let closing: Promise<void> | null = null

  const call = async <T>(name: string, argument: unknown): Promise<T> => {
    if (closing !== null) throw new TroubleError('stopped', 'the database is closed')
    await gate.enter()
    try {
      return await worker.call<T>(name, argument)
    } finally {
      gate.leave()
    }
  }
  const read = async (...queries: readonly CompiledQuery[]): Promise<RowPage<Row>[]> =>
    call<RowPage<Row>[]>('read', queries.map(statementOf))

  const settings = await call<SqliteSettings>('open', null).catch(async (thrown: unknown) => {
    await worker.stop()
    throw thrown
  })
  return {
    dialect: 'sqlite',
    settings,
    build,
    // The statements carry the types of their rows; SQLite gives back what the schema's columns hold.
    read: read as Database['read'],
    write: (unit: Unit) => call<UnitOutcome>('write', unit),
    async hasTable(name) {
      const query = sql<{
        found: number
      }>`select 1 as found from sqlite_schema where type = 'table' and name = ${name}`
      const [page] = await read(query.compile(build))
      return page !== undefined && page.rows.length > 0
    },
    counters: () => call<WriteCounters>('counters', null),
    close() {
      closing ??= gate.idle().then(() => worker.stop())
      return closing
    },
  }
}

function createBuilder(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (database) => new SqliteIntrospector(database),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
}
