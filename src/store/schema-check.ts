/**
 * A look at the database before anything is written anywhere in its folder: a program that must not use it leaves no trace.
 * Call it with the folder locked, before the store is opened.
 */
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { systemDisk } from '../lib/disk.ts'
import { TroubleError } from '../lib/errors.ts'
import { migrations, requireProgram } from './migrations.ts'
import { sqliteTrouble } from './sqlite-trouble.ts'

/** @throws TroubleError `damaged` when the file is no database, one of another program, or one that needs a newer program */
export function requireKnownSchema(path: string): void {
  if (bytesOf(path) === 0) return
  try {
    const database = openUnchanged(path)
    try {
      check(path, database)
    } finally {
      database.close()
    }
  } catch (thrown) {
    throw sqliteTrouble(path, thrown)
  }
}

function check(path: string, database: DatabaseSync): void {
  const tables = database.prepare("select name from sqlite_schema where type = 'table'").all()
  if (!tables.some(({ name }) => name === 'schema_versions')) {
    if (tables.length === 0) return
    throw new TroubleError(
      'damaged',
      `${path} is a database of another program: name another folder with --data-dir`,
    )
  }
  const stored = database
    .prepare('select max(version) as version, max(minimum_program) as minimumProgram from schema_versions')
    .get()
  requireProgram(
    { version: Number(stored?.version ?? 0), minimumProgram: Number(stored?.minimumProgram ?? 0) },
    migrations.length,
  )
}

/** Without a log beside it the file is whole, and read as if on a read-only medium: then SQLite makes no files of its own. */
function openUnchanged(path: string): DatabaseSync {
  const url = pathToFileURL(path)
  if (bytesOf(`${path}-wal`) === 0) url.searchParams.set('immutable', '1')
  return new DatabaseSync(url, { readOnly: true })
}

/** 0 for a file that is not there. */
export function bytesOf(path: string): number {
  if (!systemDisk.exists(path)) return 0
  const file = systemDisk.open(path, 'read')
  try {
    return systemDisk.size(file)
  } finally {
    systemDisk.close(file)
  }
}
