/** What only PostgreSQL can do to the store: go away, come back, answer late, belong to somebody else. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { startCuttingLink } from '../../test/kit/cutting-link.ts'
import { type Postgres, skipWithoutPostgres, startPostgres } from '../../test/kit/postgres.ts'
import { TroubleError } from '../lib/errors.ts'
import { systemRandom } from '../lib/random.ts'
import type { Database } from './database.ts'
import { migrations } from './migrations.ts'
import { openPostgresStore, type PostgresStore, type PostgresStoreOptions } from './postgres-store.ts'
import { createdBatch, sampleBatch, sampleFile, TENANT } from './store-samples.ts'

const skip = skipWithoutPostgres()
let postgres: Postgres
before(async () => {
  if (skip === false) postgres = await startPostgres()
})
after(() => postgres?.remove())

const onDeath = (cause: Error): void => assert.fail(`the store died: ${cause.message}`)

function open(url: string, more: Partial<PostgresStoreOptions> = {}): Promise<PostgresStore> {
  return openPostgresStore({
    url,
    isAlone: true,
    isUnsafeAllowed: false,
    random: systemRandom,
    onDeath,
    ...more,
  })
}

async function withStore(
  body: (store: PostgresStore, url: string) => Promise<void>,
  more: Partial<PostgresStoreOptions> = {},
): Promise<void> {
  const url = await postgres.freshUrl()
  const store = await open(url, more)
  try {
    await body(store, url)
  } finally {
    await store.close()
  }
}

const isTrouble = (code: string, words: RegExp) => (thrown: unknown) =>
  thrown instanceof TroubleError && thrown.code === code && words.test(thrown.message)

/** Ends the sessions of servers, as an operator or a failover does. */
const endSessions = (like: string): Promise<unknown> =>
  postgres.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name like '${like}%'`,
  )

test('a thousand units that come together share few commits, and each has its own outcome', { skip }, () =>
  withStore(async (store) => {
    const before = await store.commits()
    const made = await Promise.all(
      Array.from({ length: 1_000 }, (_, number) => store.batches.create(sampleBatch(number), null)),
    )
    assert.ok(made.every(({ isNew }) => isNew))
    assert.deepEqual(
      made.map(({ batch }) => batch.seq).toSorted((a, b) => a - b),
      Array.from({ length: 1_000 }, (_, place) => place + 1),
    )
    const commits = (await store.commits()) - before
    assert.ok(commits <= 20, `${commits} commits`)
    // Units that are taken back, or refused, leave their neighbours in the same commit alone.
    const numbers = Array.from({ length: 60 }, (_, number) => number)
    const mixed = await Promise.allSettled(
      numbers.map(async (number) => {
        if (number % 3 === 0) return (await store.batches.create(sampleBatch(number), null)).isNew
        return store.batches.cancel(number % 3 === 1 ? `batch_${number}` : 'batch_none', 5_000)
      }),
    )
    for (const [number, result] of mixed.entries()) {
      if (number % 3 === 0) assert.equal(result.status, 'rejected')
      else assert.deepEqual(result, { status: 'fulfilled', value: number % 3 === 1 })
    }
    for (const number of numbers) {
      const status = (await store.batches.get(`batch_${number}`, null))?.status
      assert.equal(status, number % 3 === 1 ? 'cancelling' : 'validating')
    }
  }),
)

test('a database that may lose what it confirmed is refused, unless that is allowed', { skip }, async () => {
  const url = await postgres.freshUrl()
  const careless = `${url}%20-csynchronous_commit%3Doff`
  const refused = isTrouble(
    'disk_failed',
    /fsync on, synchronous_commit off.*alter role.*database_allow_unsafe/,
  )
  await assert.rejects(open(careless), refused)
  await (await open(careless, { isUnsafeAllowed: true })).close()
  await postgres.query("alter system set fsync = 'off'")
  await postgres.query('select pg_reload_conf()')
  try {
    await assert.rejects(open(url), isTrouble('disk_failed', /fsync off/))
  } finally {
    await postgres.query('alter system reset fsync')
    await postgres.query('select pg_reload_conf()')
  }
})

test('what is wrong with the address is told at once, without its password', { skip }, async () => {
  const secret = 'hunter2-secret'
  const absent = `postgres://dw:${secret}@127.0.0.1:${postgres.port}/nowhere`
  await assert.rejects(open(absent), (thrown) => {
    assert.ok(
      isTrouble('unreachable', /postgres:\/\/dw@127\.0\.0\.1:\d+\/nowhere.*3D000/)(thrown),
      String(thrown),
    )
    return !String(thrown).includes(secret)
  })
  const nobody = `postgres://dw:${secret}@127.0.0.1:1/postgres`
  await assert.rejects(open(nobody), isTrouble('unreachable', /ECONNREFUSED/))
  const foreign = await postgres.freshUrl()
  const client = new pg.Client({ connectionString: foreign })
  await client.connect()
  await client.query('create table somebodys (id int)')
  await client.end()
  await assert.rejects(open(foreign), isTrouble('damaged', /another program \(somebodys\)/))
})

test('a second server is refused while the first one lives, and taken afterwards', { skip }, () =>
  withStore(async (store, url) => {
    await assert.rejects(open(url), isTrouble('unreachable', /in use by another dw server/))
    await createdBatch(store, 1)
    await store.close()
    const second = await open(url)
    assert.equal((await second.batches.get('batch_1', null))?.seq, 1)
    await second.close()
  }),
)

test('a server whose place was taken while it was cut off ends before it writes', { skip }, async () => {
  const died = Promise.withResolvers<Error>()
  await withStore(
    async (store, url) => {
      const rival = new pg.Client({ connectionString: url })
      await rival.connect()
      // Waits in line, and has the lock at the moment in which the other connection ends.
      const taken = rival.query(`select pg_advisory_lock(${0x6477_0001}, hashtext(current_schema()))`)
      await endSessions('dw writer')
      await taken
      const written = store.batches.create(sampleBatch(1), null)
      await assert.rejects(written, isTrouble('unreachable', /in use by another/))
      assert.match((await died.promise).message, /in use by another/)
      await rival.end()
    },
    { onDeath: died.resolve },
  )
})

test('a database that has lost a commit ends the server that was told of it', { skip }, async () => {
  const died = Promise.withResolvers<Error>()
  await withStore(
    async (store, url) => {
      await createdBatch(store, 1)
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query('update postgres_writers set number = 0')
      await client.end()
      await endSessions('dw writer')
      await assert.rejects(createdBatch(store, 2), isTrouble('damaged', /lost commits/))
      assert.match((await died.promise).message, /lost commits/)
    },
    { onDeath: died.resolve },
  )
})

for (const cutNext of ['request', 'answer'] as const) {
  test(`a commit whose ${cutNext} is lost on its way happens once, and says so`, { skip }, async () => {
    const link = await startCuttingLink(postgres.port)
    const schema = /search_path%3D(\w+)/.exec(await postgres.freshUrl())?.[1]
    const store = await open(
      `postgres://dw@127.0.0.1:${link.port}/postgres?options=-csearch_path%3D${schema}`,
    )
    try {
      link.cutNext = cutNext
      const { batch, isNew } = await store.batches.create(sampleBatch(1), null)
      assert.deepEqual([link.cuts, isNew, batch.seq], [1, true, 1])
      link.cutNext = cutNext
      assert.equal(await store.batches.cancel('batch_1', 5_000), true)
      assert.equal(await store.batches.cancel('batch_1', 6_000), false)
      assert.equal((await createdBatch(store, 2)).seq, 2)
      assert.equal(link.cuts, 2)
    } finally {
      await store.close()
      await link.stop()
    }
  })
}

test(
  'writes and reads go on over broken connections, crashes and restarts, and nothing is lost',
  { skip },
  () =>
    withStore(async (store) => {
      const made: string[] = []
      let isOver = false
      const work = async (worker: number): Promise<void> => {
        for (let number = 0; !isOver; number += 1) {
          const id = `batch_${worker * 1_000_000 + number}`
          const { isNew } = await store.batches.create(sampleBatch(worker * 1_000_000 + number), null)
          assert.equal(isNew, true)
          made.push(id)
          assert.equal((await store.batches.get(id, TENANT))?.id, id)
          assert.equal(await store.batches.start(id, { linesTotal: 1, model: null, at: 5_000 }), true)
        }
      }
      const working = Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)))
      const some = async (): Promise<void> => {
        const from = made.length
        while (made.length < from + 20) await Promise.race([working, new Promise(setImmediate)])
      }
      for (const harm of ['sessions', 'kill', 'sessions', 'fast'] as const) {
        await some()
        if (harm === 'sessions') await endSessions('dw ')
        else {
          await postgres.stop(harm)
          await postgres.start()
        }
      }
      await some()
      isOver = true
      await working
      const found = await Promise.all(made.map((id) => store.batches.get(id, null)))
      assert.ok(found.every((batch) => batch?.status === 'in_progress'))
      assert.equal(new Set(found.map((batch) => batch?.seq)).size, made.length)
      assert.equal(Math.max(...found.map((batch) => batch?.seq ?? 0)), made.length)
    }),
)

test('servers that start at the same time make the schema once', { skip }, async () => {
  const url = await postgres.freshUrl()
  const stores = await Promise.all(Array.from({ length: 4 }, () => open(url, { isAlone: false })))
  const made = await Promise.all(stores.map((store, number) => createdBatch(store, number)))
  assert.deepEqual(
    made.map(({ seq }) => seq).toSorted((a, b) => a - b),
    [1, 2, 3, 4],
  )
  await Promise.all(stores.map((store) => store.close()))
})

test('a server of the previous schema goes on while a newer one moves it forward', { skip }, async () => {
  const url = await postgres.freshUrl()
  const next = {
    version: migrations.length + 1,
    minimumProgram: 1,
    statements: ({ build }: Pick<Database, 'build'>) => [
      build.schema.alterTable('batches').addColumn('colour', 'text').compile(),
      build.schema.alterTable('files').addColumn('colour', 'text').compile(),
    ],
  }
  const older = await open(url, { isAlone: false })
  const file = sampleFile(1)
  await older.files.create(file)
  await createdBatch(older, 1)
  let rounds = 0
  const work = async (): Promise<void> => {
    for (; ; rounds += 1) {
      await createdBatch(older, 100 + rounds)
      assert.deepEqual(await older.files.get('file-1', TENANT), file)
      assert.ok(
        (await older.batches.list(TENANT, { activeFirst: true, after: null, limit: 10 })).items.length > 0,
      )
    }
  }
  const working = work()
  const newer = await open(url, { isAlone: false, known: [...migrations, next] })
  // The older one meets the new columns, and starts again on them.
  const from = rounds
  while (rounds < from + 5) await Promise.race([working, new Promise(setImmediate)])
  await createdBatch(newer, 2)
  assert.equal((await older.batches.get('batch_2', TENANT))?.id, 'batch_2')
  await older.close().then(() => assert.rejects(working, isTrouble('stopped', /closed/)))
  const restarted = await open(url, { isAlone: false })
  assert.equal((await restarted.batches.get('batch_1', TENANT))?.id, 'batch_1')
  await restarted.close()
  await newer.close()
})

test(
  'texts keep every character and are ordered by them, whatever the language of the database',
  { skip },
  () =>
    withStore(async (store, url) => {
      const odd = 'a\0b\uE0000\uE000'
      await createdBatch(store, 1)
      await store.batches.start('batch_1', { linesTotal: 1, model: odd, at: 5_000 })
      assert.equal((await store.batches.get('batch_1', null))?.model, odd)
      const schema = /search_path%3D(\w+)/.exec(url)?.[1]
      const columns = await postgres.query(
        `select table_name, column_name from information_schema.columns
       where table_schema = '${schema}' and data_type = 'text' and collation_name is distinct from 'C'`,
      )
      assert.deepEqual(columns, [])
    }),
)

test('a foreign transaction that holds a row is waited for, and a deadlock passes', { skip }, () =>
  withStore(async (store, url) => {
    await createdBatch(store, 1)
    await createdBatch(store, 2)
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    await other.query("begin; update batches set halt_reason = 'x' where id = 'batch_2'")
    // In one commit both rows, in this order, while the other one takes them in the opposite one.
    const both = Promise.all([store.batches.cancel('batch_1', 5_000), store.batches.cancel('batch_2', 5_000)])
    const waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
    while ((await postgres.query(waits)).length === 0) await new Promise(setImmediate)
    const crossing = other.query("update batches set halt_reason = 'y' where id = 'batch_1'")
    await crossing.then(
      () => other.query('commit'),
      () => other.query('rollback'),
    )
    assert.deepEqual(await both, [true, true])
    other.end()
    await once(other, 'end')
  }),
)
