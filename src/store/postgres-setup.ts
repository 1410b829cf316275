/** What a connection to PostgreSQL is set to, and what the server must promise before anything is entrusted to it. */
import { TroubleError } from '../lib/errors.ts'
import type { Statement } from './database.ts'
import type { PostgresSession } from './postgres-session.ts'

export type PostgresSettings = {
  version: number
  encoding: string
  fsync: string
  synchronousCommit: string
  /** A standby, which takes no writes. */
  isStandby: boolean
  /** Null: no schema of the search path exists. */
  schema: string | null
}

/** PostgreSQL 13: the oldest version that is still maintained anywhere. */
const VERSION_MIN = 130_000

/**
 * A transaction whose client is gone must not hold its locks for ever; limits that somebody set for people's queries do not apply
 * to ours; a machine that vanished is noticed within half a minute.
 */
const SETTINGS = [
  "set idle_in_transaction_session_timeout = '20s'",
  'set statement_timeout = 0',
  'set tcp_keepalives_idle = 10',
  'set tcp_keepalives_interval = 5',
  'set tcp_keepalives_count = 3',
]

const READ_BACK = `select
  current_setting('server_version_num')::int as version,
  current_setting('server_encoding') as encoding,
  current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit,
  pg_is_in_recovery() as is_standby,
  current_schema()::text as schema`

export async function setUpSession(session: PostgresSession): Promise<PostgresSettings> {
  const replies = await Promise.all([...SETTINGS, READ_BACK].map((sql) => session.run(plain(sql))))
  const row = replies.at(-1)?.rows[0]
  return {
    version: Number(row?.version),
    encoding: String(row?.encoding),
    fsync: String(row?.fsync),
    synchronousCommit: String(row?.synchronous_commit),
    isStandby: row?.is_standby === 1,
    schema: typeof row?.schema === 'string' ? row.schema : null,
  }
}

/** @throws TroubleError `disk_failed` when the server does not promise what durability rests on, `unsupported` when it cannot be used */
export function requireUsable(
  place: string,
  settings: PostgresSettings,
  options: { isUnsafeAllowed: boolean },
): void {
  const { version, encoding, fsync, synchronousCommit, schema } = settings
  if (version < VERSION_MIN)
    throw new TroubleError('unsupported', `${place} is PostgreSQL ${version}: version 13 or newer is needed`)
  if (encoding !== 'UTF8')
    throw new TroubleError(
      'unsupported',
      `${place} keeps its texts as ${encoding}: make the database anew with \`create database … encoding 'UTF8' template template0\``,
    )
  if (schema === null)
    throw new TroubleError(
      'unsupported',
      `${place} has none of the schemas of its search_path: create one, or name one with ?options=-csearch_path%3DNAME`,
    )
  if ((fsync === 'on' && synchronousCommit !== 'off') || options.isUnsafeAllowed) return
  throw new TroubleError(
    'disk_failed',
    `${place} may lose what it has confirmed (fsync ${fsync}, synchronous_commit ${synchronousCommit}): ` +
      'set both to on in postgresql.conf or by `alter role … set synchronous_commit = on`; ' +
      'for data that may be lost, start with database_allow_unsafe = true in the configuration',
  )
}

/** A statement without parameters. */
export function plain(sql: string): Statement {
  return { sql, parameters: [] }
}
