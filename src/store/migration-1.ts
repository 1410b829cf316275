/** The first schema. Released: it never changes again. */
import { type CompiledQuery, sql } from 'kysely'
import type { Database } from './database.ts'

type Parts = Pick<Database, 'build' | 'dialect'>

export function firstSchema(parts: Parts): CompiledQuery[] {
  return [
    ...batchNumbers(parts),
    batches(parts),
    files(parts),
    ...others(parts),
    ...batchIndexes(parts),
    ...fileIndexes(parts),
  ]
}

/**
 * PostgreSQL's own sequences give a number for good even where nothing is stored, and a lower one may appear after a higher one; who
 * walks through the live batches by number would miss it. Here a number is given with the commit that stores its batch.
 */
function batchNumbers({ build, dialect }: Parts): CompiledQuery[] {
  if (dialect === 'sqlite') return []
  return [
    sql`create table batch_numbers (newest bigint not null)`,
    sql`insert into batch_numbers (newest) values (0)`,
    sql`create function next_batch_number() returns bigint language sql volatile
      as 'update batch_numbers set newest = newest + 1 returning newest'`,
  ].map((statement) => statement.compile(build))
}

function batches({ build, dialect }: Parts): CompiledQuery {
  let table = build.schema
    .createTable('batches')
    // SQLite numbers rows for ever without reuse only under exactly this type.
    .addColumn('seq', dialect === 'sqlite' ? 'integer' : 'bigint', (column) =>
      dialect === 'sqlite'
        ? column.primaryKey().autoIncrement()
        : column.primaryKey().defaultTo(sql`next_batch_number()`),
    )
  const facts = ['tenant_id', 'input_file_id', 'endpoint', 'window', 'status'] as const
  table = table.addColumn('id', 'text', (column) => column.notNull().unique())
  for (const name of facts) table = table.addColumn(name, 'text', (column) => column.notNull())
  table = table
    .addColumn('ends_as', 'text')
    .addColumn('output_file_id', 'text')
    .addColumn('error_file_id', 'text')
    .addColumn('output_file_id_reserved', 'text', (column) => column.notNull())
    .addColumn('error_file_id_reserved', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
  const instants = ['in_progress', 'finalizing', 'completed', 'failed', 'expired', 'cancelling', 'cancelled']
  for (const name of instants) table = table.addColumn(`${name}_at`, 'bigint')
  const counts = ['lines_total', 'findings_total', 'completed', 'failed', 'expired', 'cancelled']
  const tokens = ['prompt_tokens', 'cached_tokens', 'completion_tokens', 'reasoning_tokens', 'usage_unknown']
  const positions = ['output_lines', 'output_bytes', 'error_lines', 'error_bytes']
  for (const name of [...counts, ...tokens, ...positions]) {
    table = table.addColumn(name, 'bigint', (column) => column.notNull().defaultTo(0))
  }
  return table
    .addColumn('metadata', 'text')
    .addColumn('output_expires_after_seconds', 'bigint')
    .addColumn('findings', 'text', (column) => column.notNull().defaultTo('[]'))
    .addColumn('model', 'text')
    .addColumn('retry_of', 'text', (column) => column.references('batches.id'))
    .addColumn('halt_reason', 'text')
    .addColumn('ended_number', 'bigint')
    .compile()
}

function batchIndexes({ build }: Parts): CompiledQuery[] {
  const on = (name: string) => build.schema.createIndex(name).on('batches')
  const isLive = sql<boolean>`ended_number is null`
  return [
    on('batches_of_tenant').columns(['tenant_id', 'created_at', 'id']),
    on('live_batches_of_tenant').columns(['tenant_id', 'created_at', 'id']).where(isLive),
    on('ended_batches_of_tenant')
      .columns(['tenant_id', 'created_at', 'id'])
      .where(sql<boolean>`ended_number is not null`),
    on('batches_in_order_of_ending').columns(['tenant_id', 'ended_number']),
    on('live_batches').column('seq').where(isLive),
    on('live_batches_of_file').column('input_file_id').where(isLive),
    // The rule that a batch has at most one live child is this index.
    on('live_child').column('retry_of').unique().where(isLive),
    on('children').columns(['retry_of', 'created_at', 'id']).where(sql<boolean>`retry_of is not null`),
  ].map((index) => index.compile())
}

function files({ build }: Parts): CompiledQuery {
  return build.schema
    .createTable('files')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('filename', 'text', (column) => column.notNull())
    .addColumn('purpose', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('deleted_at', 'bigint')
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('bytes', 'bigint', (column) => column.notNull())
    .addColumn('extents', 'text', (column) => column.notNull())
    .addColumn('inspection', 'text')
    .addColumn('batch_id', 'text', (column) => column.references('batches.id'))
    .compile()
}

function fileIndexes({ build }: Parts): CompiledQuery[] {
  const on = (name: string) => build.schema.createIndex(name).on('files')
  const isShown = sql<boolean>`deleted_at is null`
  return [
    on('files_of_tenant').columns(['tenant_id', 'created_at', 'id']).where(isShown),
    on('files_of_purpose').columns(['tenant_id', 'purpose', 'created_at', 'id']).where(isShown),
    on('files_expiring').columns(['expires_at', 'id']).where(isShown),
    on('files_hidden').columns(['kind', 'deleted_at', 'id']).where(sql<boolean>`deleted_at is not null`),
  ].map((index) => index.compile())
}

function others({ build }: Parts): CompiledQuery[] {
  const { schema } = build
  return [
    schema
      .createTable('idempotency_keys')
      .addColumn('tenant_id', 'text', (column) => column.notNull())
      .addColumn('key', 'text', (column) => column.notNull())
      .addColumn('body_hash', 'text', (column) => column.notNull())
      .addColumn('batch_id', 'text', (column) => column.notNull().references('batches.id'))
      .addColumn('expires_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('idempotency_keys_primary', ['tenant_id', 'key'])
      .compile(),
    schema.createIndex('idempotency_keys_expiring').on('idempotency_keys').column('expires_at').compile(),
    schema
      .createTable('keys')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('hash', 'text', (column) => column.notNull().unique())
      .addColumn('tenant_id', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('tail', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('expires_at', 'bigint')
      .addColumn('revoked_at', 'bigint')
      .addColumn('last_used_at', 'bigint')
      .compile(),
    schema
      .createTable('upstreams')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('url', 'text', (column) => column.notNull())
      .addColumn('concurrency', 'bigint', (column) => column.notNull())
      .addColumn('has_key', 'bigint', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .compile(),
    schema
      .createTable('watermarks')
      .addColumn('id', 'bigint', (column) => column.primaryKey())
      .addColumn('newest_at', 'bigint', (column) => column.notNull())
      .addColumn('ended_count', 'bigint', (column) => column.notNull())
      .compile(),
    build.insertInto('watermarks').values({ id: 1, newest_at: 0, ended_count: 0 }).compile(),
  ]
}
