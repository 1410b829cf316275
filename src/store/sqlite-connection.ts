/**
 * One connection to the SQLite file, with all that a unit of writes needs. Runs in the worker thread; synchronous throughout, so
 * that nothing is ever read in the middle of a transaction.
 *
 * Invariants: WAL with `synchronous=FULL`, read back at open, so a commit that returned survives power loss. A group of units is
 * one transaction, each unit a savepoint in it. A crash leaves whole groups behind, which SQLite recovers at the next open.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { DATABASE_BUSY_MS_MAX, DATABASE_REPLY_BYTES_MAX, DATABASE_STATEMENTS_MAX } from '../domain/limits.ts'
import { messageOf, TroubleError } from '../lib/errors.ts'
import {
  type GroupOutcome,
  type Row,
  type RowPage,
  rowBytes,
  type Scalar,
  type Statement,
  type Unit,
} from './database.ts'
import { isStorageCode, sqliteCodeOf, sqliteTrouble } from './sqlite-trouble.ts'

export type SqliteSettings = { journalMode: string; synchronous: number; foreignKeys: number }

const SYNCHRONOUS_FULL = 2

export type SqliteConnection = {
  readonly settings: SqliteSettings
  read(statements: readonly Statement[]): RowPage<Row>[]
  /** All units in one commit. @throws TroubleError when the commit failed: then nothing of any unit is stored. */
  writeGroup(units: readonly Unit[]): GroupOutcome[]
  close(): void
}

/** @param pagesMax bound of the file's size, or null for none */
export function openSqliteConnection(path: string, pagesMax: number | null): SqliteConnection {
  const database = translating(path, () => new DatabaseSync(path, { timeout: DATABASE_BUSY_MS_MAX }))
  try {
    const settings = translating(path, () => setUp(database, pagesMax))
    requireDurable(path, settings)
    const statements = createStatementCache(database)
    return {
      settings,
      read: (wanted) => translating(path, () => wanted.map((statement) => readPage(statements, statement))),
      writeGroup: (units) => writeGroup({ path, database, statements }, units),
      close: () => database.close(),
    }
  } catch (thrown) {
    database.close()
    throw thrown
  }
}

function setUp(database: DatabaseSync, pagesMax: number | null): SqliteSettings {
  database.exec('pragma journal_mode = wal')
  database.exec('pragma synchronous = full')
  database.exec('pragma foreign_keys = on')
  // Only macOS knows a stronger sync than `fsync`; elsewhere these two do nothing.
  database.exec('pragma fullfsync = on')
  database.exec('pragma checkpoint_fullfsync = on')
  database.exec('pragma trusted_schema = off')
  if (pagesMax !== null) database.exec(`pragma max_page_count = ${pagesMax}`)
  return {
    journalMode: String(pragma(database, 'journal_mode')),
    synchronous: Number(pragma(database, 'synchronous')),
    foreignKeys: Number(pragma(database, 'foreign_keys')),
  }
}

/** @throws TroubleError `disk_failed` when the file system or the build of SQLite does not give what durability rests on. */
export function requireDurable(path: string, settings: SqliteSettings): void {
  const { journalMode, synchronous, foreignKeys } = settings
  if (journalMode === 'wal' && synchronous === SYNCHRONOUS_FULL && foreignKeys === 1) return
  throw new TroubleError(
    'disk_failed',
    `${path} does not take the settings that keep data safe (journal_mode ${journalMode}, synchronous ${synchronous}, ` +
      `foreign_keys ${foreignKeys}; needed: wal, ${SYNCHRONOUS_FULL}, 1): put the data folder on a local file system`,
  )
}

function pragma(database: DatabaseSync, name: string): unknown {
  return Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0]
}

type StatementCache = { get(sql: string): StatementSync }

/** Prepared statements by their text, the least recently used dropped first. */
function createStatementCache(database: DatabaseSync): StatementCache {
  const prepared = new Map<string, StatementSync>()
  return {
    get(sql) {
      let statement = prepared.get(sql)
      if (statement === undefined) statement = database.prepare(sql)
      else prepared.delete(sql)
      prepared.set(sql, statement)
      const oldest = prepared.keys().next()
      if (prepared.size > DATABASE_STATEMENTS_MAX && !oldest.done) prepared.delete(oldest.value)
      return statement
    },
  }
}

function readPage(statements: StatementCache, { sql, parameters }: Statement): RowPage<Row> {
  const rows: Row[] = []
  let bytes = 0
  for (const found of statements.get(sql).iterate(...parameters)) {
    // Columns are integers, texts or null: the schema has no other types.
    const row = found as Row
    bytes += rowBytes(row)
    if (bytes > DATABASE_REPLY_BYTES_MAX && rows.length > 0) return { rows, isCut: true }
    rows.push(row)
  }
  return { rows, isCut: false }
}

type Writing = { path: string; database: DatabaseSync; statements: StatementCache }

function writeGroup(writing: Writing, units: readonly Unit[]): GroupOutcome[] {
  const { path, database, statements } = writing
  try {
    statements.get('begin immediate').run()
    const outcomes = units.map((unit) => writeUnit(statements, unit))
    statements.get('commit').run()
    return outcomes
  } catch (thrown) {
    // After a full disk SQLite has already taken the transaction back itself.
    if (database.isTransaction) database.exec('rollback')
    throw sqliteTrouble(path, thrown)
  }
}

function writeUnit(statements: StatementCache, unit: Unit): GroupOutcome {
  statements.get('savepoint unit').run()
  try {
    const changes: number[] = []
    for (const [place, { sql, runs, expects }] of unit.entries()) {
      const changed = runAll(statements.get(sql), runs)
      if (expects !== null && changed !== expects) {
        takeBack(statements)
        return { outcome: { isDone: false, failedStep: place } }
      }
      changes.push(changed)
    }
    statements.get('release unit').run()
    return { outcome: { isDone: true, changes } }
  } catch (thrown) {
    // A failing disk concerns the whole group; a statement that was refused only its unit.
    if (isStorageCode(sqliteCodeOf(thrown))) throw thrown
    takeBack(statements)
    return { error: new Error(`statement refused: ${messageOf(thrown)}`) }
  }
}

function takeBack(statements: StatementCache): void {
  statements.get('rollback to unit').run()
  statements.get('release unit').run()
}

function runAll(statement: StatementSync, runs: readonly (readonly Scalar[])[]): number {
  let changed = 0
  for (const parameters of runs) changed += Number(statement.run(...parameters).changes)
  return changed
}

function translating<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (thrown) {
    throw sqliteTrouble(path, thrown)
  }
}
