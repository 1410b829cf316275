/** PostgreSQL as the database of the store: one connection that writes, a few that read, a bound on what waits for them. */
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
} from 'kysely'
import {
  DATABASE_CALLS_OPEN_MAX,
  DATABASE_CALLS_WAITING_MAX,
  DATABASE_CLOSE_MS_MAX,
} from '../domain/limits.ts'
import { TroubleError } from '../lib/errors.ts'
import { createCallGate } from './call-gate.ts'
import { type Database, type Row, type RowPage, statementOf } from './database.ts'
import { createPostgresLink } from './postgres-link.ts'
import { createPostgresReaders } from './postgres-readers.ts'
import type { PostgresSession } from './postgres-session.ts'
import { PostgresWriter } from './postgres-writer.ts'
import type { Tables } from './schema.ts'

export type PostgresOptions = {
  url: string
  /** How messages name the database: without its password. */
  place: string
  /** Random name of this process, in the names of its connections and in its row of `postgres_writers`. */
  owner: string
  /** Start also where the server may lose what it has confirmed. */
  isUnsafeAllowed: boolean
  /** Runs on each new connection of the writer. @param confirmed number of the newest commit that anybody was told of */
  prepareWriter(session: PostgresSession, confirmed: number): Promise<void>
}

export type PostgresDatabase = Database & {
  /** The writer's connection, for what is written once at start. */
  writerSession(giveUpAt: number): Promise<PostgresSession>
}

/** Nothing is connected yet. */
export function createPostgresDatabase(options: PostgresOptions): PostgresDatabase {
  const { url, place, owner, isUnsafeAllowed } = options
  const gate = createCallGate({ openMax: DATABASE_CALLS_OPEN_MAX, waitingMax: DATABASE_CALLS_WAITING_MAX })
  const build = createBuilder()
  const stop = new AbortController()
  const common = { url, place, isUnsafeAllowed, closing: stop.signal }
  const link = createPostgresLink({
    ...common,
    name: writerName(owner),
    prepare: (session) => options.prepareWriter(session, writer.confirmed),
  })
  const writer = new PostgresWriter({ owner, place, link, closing: stop.signal })
  const readers = createPostgresReaders(place, (number) =>
    createPostgresLink({ ...common, name: `dw reader ${number} ${owner}` }),
  )
  let closing: Promise<void> | null = null

  const gated = async <T>(act: () => Promise<T>): Promise<T> => {
    if (closing !== null) throw new TroubleError('stopped', 'the database is closed')
    await gate.enter()
    try {
      return await act()
    } finally {
      gate.leave()
    }
  }
  const read = (...queries: readonly CompiledQuery[]): Promise<RowPage<Row>[]> =>
    gated(() => readers.read(queries.map(statementOf)))
  const close = async (): Promise<void> => {
    // A server that is away is not waited for.
    const timer = setTimeout(() => stop.abort(), DATABASE_CLOSE_MS_MAX)
    await gate.idle()
    clearTimeout(timer)
    await writer.idle()
    stop.abort()
    await Promise.all([link.close(), readers.close()])
  }
  return {
    dialect: 'postgresql',
    build,
    // The statements carry the types of their rows; PostgreSQL gives back what the schema's columns hold.
    read: read as Database['read'],
    write: (unit) => gated(() => writer.write(unit)),
    async hasTable(name) {
      const query = sql<{
        found: number
      }>`select 1 as found from pg_tables where schemaname = current_schema() and tablename = ${name}`
      const [page] = await read(query.compile(build))
      return page !== undefined && page.rows.length > 0
    },
    counters: async () => ({ ...writer.counters }),
    writerSession: (giveUpAt) => link.session(giveUpAt),
    close() {
      closing ??= close()
      return closing
    },
  }
}

export function writerName(owner: string): string {
  return `dw writer ${owner}`
}

/**
 * Texts are ordered by their characters' numbers, as SQLite and JavaScript order them, whatever language the database was made for;
 * pages would skip rows otherwise, and an index could not be trusted after an update of the system's language data.
 */
class Compiler extends PostgresQueryCompiler {
  protected override visitDataType(node: Parameters<PostgresQueryCompiler['visitDataType']>[0]): void {
    super.visitDataType(node)
    if (node.dataType === 'text') this.append(' collate "C"')
  }
}

function createBuilder(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (database) => new PostgresIntrospector(database),
      createQueryCompiler: () => new Compiler(),
    },
  })
}
