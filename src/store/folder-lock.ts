/**
 * One data folder, one process: an exclusive transaction on a small SQLite file, held for life. The system gives it back when the
 * process ends, however it ends. Nothing else in this process may open and close that file: closing any descriptor of it would give
 * back the system's lock.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { systemDisk } from '../lib/disk.ts'
import { TroubleError } from '../lib/errors.ts'
import { sqliteTrouble } from './sqlite-trouble.ts'

export const LOCK_FILE = 'lock.sqlite'

/** A connection that nothing refers to is closed by the collector, and its lock with it: whoever drops the release keeps the lock. */
const heldLocks = new Set<DatabaseSync>()

/**
 * Takes the folder for this process; makes it when it is absent.
 * @returns the way to give it back.
 * @throws TroubleError `unreachable` naming the folder when another process has it; `disk_full`, `disk_failed`, `damaged`
 */
export function lockFolder(folder: string): () => void {
  systemDisk.makeFolder(folder)
  const path = join(folder, LOCK_FILE)
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec('begin exclusive')
  } catch (thrown) {
    database?.close()
    const trouble = sqliteTrouble(path, thrown)
    if (!(trouble instanceof TroubleError) || trouble.code !== 'unreachable') throw trouble
    throw new TroubleError(
      'unreachable',
      `the data folder ${folder} is in use by another dw server: stop that one, or start this one with another --data-dir`,
      { cause: thrown },
    )
  }
  const held = database
  heldLocks.add(held)
  return () => {
    if (heldLocks.delete(held)) held.close()
  }
}
