/**
 * Which database keeps the metadata: SQLite in the data folder, or PostgreSQL. Results and blobs lie in the folder either way, so the
 * two belong together: a folder is used with one database, and a database with one folder.
 */
import { join } from 'node:path'
import type { DatabaseConfig } from './domain/config.ts'
import { base32 } from './domain/ids.ts'
import { systemDisk } from './lib/disk.ts'
import { RefusedError } from './lib/errors.ts'
import type { Random } from './lib/random.ts'
import { readSecret, removeSecret, writeSecret } from './lib/secret-file.ts'
import { printablePlace } from './store/postgres-place.ts'
import { openPostgresStore, type PostgresStore } from './store/postgres-store.ts'
import { bytesOf, requireKnownSchema } from './store/schema-check.ts'
import { openSqliteStore } from './store/sqlite-store.ts'
import type { Store } from './store/store.ts'

export const DATABASE_FILE = 'dw.sqlite'
/** In the folder of a server whose metadata is in PostgreSQL: the name under which the database knows the folder. */
export const FOLDER_MARK = 'postgres-folder'
const FOLDER_FACT = 'data_folder'
const MARK_BYTES = 16

export type StoreParts = {
  dataDir: string
  database: DatabaseConfig | null
  random: Random
  onDeath: (cause: Error) => void
}

/** A look before anything is changed. @throws RefusedError, TroubleError */
export function requireOwnDatabase({ dataDir, database }: Pick<StoreParts, 'dataDir' | 'database'>): void {
  const isMarked = systemDisk.exists(join(dataDir, FOLDER_MARK))
  if (database === null) {
    if (isMarked)
      throw wrongFolder(
        dataDir,
        'its batches are in a PostgreSQL database: name it with --database or DW_DATABASE',
      )
    requireKnownSchema(join(dataDir, DATABASE_FILE))
  } else if (!isMarked && bytesOf(join(dataDir, DATABASE_FILE)) > 0)
    throw wrongFolder(
      dataDir,
      `its batches are in its own database, ${DATABASE_FILE}: start without --database, or name another folder with --data-dir`,
    )
}

/** @throws RefusedError, TroubleError with one sentence that says what to do */
export async function openStore({ dataDir, database, random, onDeath }: StoreParts): Promise<Store> {
  if (database === null) return openSqliteStore({ path: join(dataDir, DATABASE_FILE), onDeath })
  const { url, isUnsafeAllowed } = database
  const store = await openPostgresStore({ url, isAlone: true, isUnsafeAllowed, random, onDeath })
  try {
    await requirePair(store, { dataDir, url, random })
    return store
  } catch (thrown) {
    await store.close()
    throw thrown
  }
}

/** @throws RefusedError when the database belongs to another folder, or the folder to another database */
async function requirePair(
  store: PostgresStore,
  { dataDir, url, random }: { dataDir: string; url: string; random: Random },
): Promise<void> {
  const path = join(dataDir, FOLDER_MARK)
  const marked = readSecret(path)
  const mark = marked ?? base32(random.bytes(MARK_BYTES))
  // Before the database has it: whatever a crash leaves behind, the same folder is taken again.
  if (marked === null) writeSecret(path, mark)
  if ((await store.fact(FOLDER_FACT, mark)) === mark) return
  if (marked === null) removeSecret(path)
  throw wrongFolder(
    dataDir,
    `the results of ${printablePlace(url)} lie in another folder: name that one with --data-dir, or another database with --database`,
  )
}

function wrongFolder(dataDir: string, why: string): RefusedError {
  return new RefusedError('data_folder', `Cannot use ${dataDir} as the data folder: ${why}.`)
}
