/** Webhooks and their deliveries. Programs that know only the first schema never look at these tables. */
import type { CompiledQuery } from 'kysely'
import type { Database } from './database.ts'

export function webhookSchema({ build }: Pick<Database, 'build'>): CompiledQuery[] {
  return [
    build.schema
      .createTable('webhooks')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('tenant_id', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('url', 'text', (column) => column.notNull())
      .addColumn('events', 'text', (column) => column.notNull())
      .addColumn('secret', 'text', (column) => column.notNull())
      .addColumn('previous_secret', 'text')
      .addColumn('previous_secret_until_at', 'bigint')
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('updated_at', 'bigint', (column) => column.notNull())
      .addColumn('disabled_reason', 'text')
      .compile(),
    build.schema.createIndex('webhooks_of_tenant').on('webhooks').column('tenant_id').compile(),
    build.schema
      .createTable('deliveries')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('webhook_id', 'text', (column) => column.notNull())
      .addColumn('event', 'text', (column) => column.notNull())
      .addColumn('batch_id', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('status', 'text', (column) => column.notNull())
      .addColumn('attempts', 'bigint', (column) => column.notNull())
      .addColumn('next_at', 'bigint')
      .addColumn('last_attempt_at', 'bigint')
      .addColumn('last_status', 'bigint')
      .addColumn('last_error', 'text')
      .compile(),
    build.schema.createIndex('deliveries_due').on('deliveries').column('next_at').compile(),
    build.schema
      .createIndex('deliveries_of_webhook')
      .on('deliveries')
      .columns(['webhook_id', 'created_at', 'id'])
      .compile(),
  ]
}
