import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Postgres, skipWithoutPostgres, startPostgres } from '../../test/kit/postgres.ts'
import { systemRandom } from '../lib/random.ts'
import { openPostgresStore, type PostgresStore, type PostgresStoreOptions } from './postgres-store.ts'
import { testStore } from './store-conformance.ts'

const skip = skipWithoutPostgres()
let postgres: Postgres
before(async () => {
  if (skip === false) postgres = await startPostgres()
})
after(() => postgres?.remove())

async function open(url: string, more: Partial<PostgresStoreOptions> = {}): Promise<PostgresStore> {
  return openPostgresStore({
    url,
    isAlone: true,
    isUnsafeAllowed: false,
    random: systemRandom,
    onDeath: (cause) => assert.fail(`the store died: ${cause.message}`),
    ...more,
  })
}

if (skip === false)
  testStore('PostgreSQL', async () => {
    const store = await open(await postgres.freshUrl())
    return { store, dispose: () => store.close() }
  })
else test('PostgreSQL: the conformance of the store', { skip }, () => undefined)
