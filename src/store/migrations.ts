/**
 * The schema's history. A migration that has been released never changes; a new one is added behind it. Migrations expand first
 * and contract a release later, so that programs of the release before keep working: only a migration which they could not live
 * with raises `minimumProgram`.
 */
import type { CompiledQuery } from 'kysely'
import { TroubleError } from '../lib/errors.ts'
import { type Database, step, type Unit } from './database.ts'
import { firstSchema } from './migration-1.ts'
import { webhookSchema } from './migration-2.ts'
import { figuresSchema } from './migration-3.ts'

export type Migration = {
  version: number
  /** The newest schema version that a program must know to work with the database from here on. */
  minimumProgram: number
  statements(database: Pick<Database, 'build' | 'dialect'>): CompiledQuery[]
}

export const migrations: readonly Migration[] = [
  { version: 1, minimumProgram: 1, statements: firstSchema },
  { version: 2, minimumProgram: 1, statements: webhookSchema },
  { version: 3, minimumProgram: 1, statements: figuresSchema },
]

/**
 * Brings a database to the newest schema that this program knows: all missing migrations in order, in one unit.
 * @param known the migrations of this program, in order, without gaps from version 1.
 * @throws TroubleError `damaged` naming both versions when the database demands a newer program.
 */
export async function migrate(database: Database, known: readonly Migration[] = migrations): Promise<void> {
  const stored = await storedVersion(database)
  requireProgram(stored, known.length)
  const missing = known.filter((migration) => migration.version > stored.version)
  if (missing.length === 0) return
  const unit: Unit = [
    ...(stored.version === 0 ? [step(createVersions(database))] : []),
    ...missing.flatMap((migration) => [
      ...migration.statements(database).map((query) => step(query)),
      step(recordVersion(database, migration), 1),
    ]),
  ]
  const outcome = await database.write(unit)
  if (!outcome.isDone) {
    throw new TroubleError(
      'interrupted',
      'another program changed the schema at the same moment: start again',
    )
  }
}

type StoredVersion = { version: number; minimumProgram: number }

/**
 * @param program the newest schema version that this program knows
 * @throws TroubleError `damaged` naming both versions
 */
export function requireProgram(stored: StoredVersion, program: number): void {
  if (stored.minimumProgram <= program) return
  throw new TroubleError(
    'damaged',
    `the database has schema version ${stored.version} and needs a program that knows at least version ` +
      `${stored.minimumProgram}; this program knows versions up to ${program}: start the newer program that wrote it`,
  )
}

async function storedVersion(database: Database): Promise<StoredVersion> {
  if (!(await database.hasTable('schema_versions'))) return { version: 0, minimumProgram: 0 }
  const [{ rows }] = await database.read(
    database.build
      .selectFrom('schema_versions')
      .select(({ fn }) => [fn.max('version').as('version'), fn.max('minimum_program').as('minimumProgram')])
      .compile(),
  )
  return { version: rows[0]?.version ?? 0, minimumProgram: rows[0]?.minimumProgram ?? 0 }
}

function createVersions({ build }: Pick<Database, 'build'>): CompiledQuery {
  return build.schema
    .createTable('schema_versions')
    .addColumn('version', 'bigint', (column) => column.primaryKey())
    .addColumn('minimum_program', 'bigint', (column) => column.notNull())
    .compile()
}

function recordVersion({ build }: Pick<Database, 'build'>, migration: Migration): CompiledQuery {
  return build
    .insertInto('schema_versions')
    .values({ version: migration.version, minimum_program: migration.minimumProgram })
    .onConflict((conflict) => conflict.column('version').doNothing())
    .compile()
}
