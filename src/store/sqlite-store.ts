/** The store on the SQLite built into Node: one file, one process, one thread that writes. */
import { migrate } from './migrations.ts'
import { createSqlStore } from './sql-store.ts'
import { openSqliteDatabase, type SqliteOptions } from './sqlite-database.ts'
import type { Store } from './store.ts'

export type SqliteStore = Store & {
  /** Commits since the store was opened; units that waited together share one. */
  commits(): Promise<number>
}

/**
 * Opens the store, makes its file when it is absent, and brings an older schema forward.
 * @param options path: the database file, in a folder that exists and that this process has locked (`lockFolder`).
 *   onDeath: the database thread ended by itself or a sync failed. What was being written is unknown: the process must end.
 * @throws TroubleError `damaged` when the file is no intact database or demands a newer program (names both versions);
 *   `disk_full`, `disk_failed` (also when the file system does not take `synchronous=FULL` with WAL); `unreachable` while locked
 */
export async function openSqliteStore(options: SqliteOptions): Promise<SqliteStore> {
  const database = await openSqliteDatabase(options)
  try {
    await migrate(database)
  } catch (thrown) {
    await database.close()
    throw thrown
  }
  return { ...createSqlStore(database), commits: async () => (await database.counters()).commits }
}
