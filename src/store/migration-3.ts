/** Prices by the time from which they hold, usage by the hour, and the key that a batch was made with. */
import type { CompiledQuery } from 'kysely'
import type { Database } from './database.ts'
import { usageCounts } from './schema.ts'

export function figuresSchema({ build }: Pick<Database, 'build'>): CompiledQuery[] {
  let usage = build.schema
    .createTable('usage')
    .addColumn('batch_id', 'text', (column) => column.notNull())
    .addColumn('hour_at', 'bigint', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('upstream_number', 'bigint', (column) => column.notNull())
  for (const name of usageCounts) usage = usage.addColumn(name, 'bigint', (column) => column.notNull())
  return [
    build.schema.alterTable('batches').addColumn('key_id', 'text').compile(),
    usage.addPrimaryKeyConstraint('usage_key', ['batch_id', 'hour_at', 'model', 'upstream_number']).compile(),
    build.schema.createIndex('usage_by_hour').on('usage').columns(['hour_at', 'batch_id']).compile(),
    build.schema
      .createTable('prices')
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('window', 'text', (column) => column.notNull())
      .addColumn('valid_from_at', 'bigint', (column) => column.notNull())
      .addColumn('input_per_million', 'text')
      .addColumn('cached_input_per_million', 'text')
      .addColumn('output_per_million', 'text')
      .addPrimaryKeyConstraint('prices_key', ['model', 'window', 'valid_from_at'])
      .compile(),
    build.schema
      .createTable('upstream_numbers')
      .addColumn('number', 'bigint', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull().unique())
      .compile(),
  ]
}
