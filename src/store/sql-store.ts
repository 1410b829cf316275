/** The store on any database that speaks SQL: one set of typed statements, one file per noun. */
import { sql } from 'kysely'
import { createBatchStore } from './batches.ts'
import type { Database } from './database.ts'
import { createFileStore } from './files.ts'
import { createKeyStore } from './keys.ts'
import { createPriceStore } from './prices.ts'
import type { Store } from './store.ts'
import { createUpstreamStore } from './upstreams.ts'
import { createUsageStore } from './usage.ts'
import { createWatermarks } from './watermarks.ts'
import { createWebhookStore } from './webhooks.ts'

/** @param database migrated to this program's schema; closed with the store. */
export function createSqlStore(database: Database): Store {
  const watermarks = createWatermarks(database)
  return {
    files: createFileStore(database, watermarks),
    batches: createBatchStore(database, watermarks),
    keys: createKeyStore(database, watermarks),
    upstreams: createUpstreamStore(database, watermarks),
    webhooks: createWebhookStore(database, watermarks),
    prices: createPriceStore(database, watermarks),
    usage: createUsageStore(database),
    newestAt: () => watermarks.newestAt(),
    async check() {
      await database.read(sql`select 1 as works`.compile(database.build))
    },
    close: () => database.close(),
  }
}
