import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { CompiledQuery } from 'kysely'
import { TroubleError } from '../lib/errors.ts'
import { step } from './database.ts'
import { migrate, migrations } from './migrations.ts'
import { createSqlStore } from './sql-store.ts'
import { requireDurable } from './sqlite-connection.ts'
import { openSqliteDatabase } from './sqlite-database.ts'
import { openSqliteStore } from './sqlite-store.ts'
import { testStore } from './store-conformance.ts'
import { createdBatch, sampleBatch, sampleFile, TENANT } from './store-samples.ts'

const onDeath = (cause: Error): void => assert.fail(`the database thread died: ${cause.message}`)

testStore('SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const store = await openSqliteStore({ path: join(folder, 'dw.sqlite'), onDeath })
  return {
    store,
    async dispose() {
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
})

async function inFolder(body: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    await body(join(folder, 'dw.sqlite'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const isTrouble = (code: string, words: RegExp) => (thrown: unknown) =>
  thrown instanceof TroubleError && thrown.code === code && words.test(thrown.message)

test('the settings that durability rests on are read back, and anything less is refused', async () => {
  await inFolder(async (path) => {
    const database = await openSqliteDatabase({ path, onDeath })
    assert.deepEqual(database.settings, { journalMode: 'wal', synchronous: 2, foreignKeys: 1 })
    await database.close()
    for (const weaker of [{ synchronous: 1 }, { journalMode: 'delete' }, { foreignKeys: 0 }]) {
      const settings = { journalMode: 'wal', synchronous: 2, foreignKeys: 1, ...weaker }
      assert.throws(() => requireDurable(path, settings), isTrouble('disk_failed', /local file system/))
    }
  })
})

test('a thousand units that come together share few commits, and each has its own outcome', async () => {
  await inFolder(async (path) => {
    const store = await openSqliteStore({ path, onDeath })
    const before = await store.commits()
    const outcomes = await Promise.all(
      Array.from({ length: 1_000 }, (_, number) => store.batches.create(sampleBatch(number), null)),
    )
    assert.ok(outcomes.every(({ isNew }) => isNew))
    const commits = (await store.commits()) - before
    assert.ok(commits <= 20, `${commits} commits`)
    // A unit that is taken back, or refused, leaves its neighbours in the same commit alone.
    const mixed = await Promise.allSettled([
      store.batches.cancel('batch_1', 5_000),
      store.batches.end('batch_2', {
        as: 'completed',
        tally: (await createdBatch(store, 2_000)).tally,
        at: 5_000,
        files: [],
      }),
      store.batches.create(sampleBatch(3), null),
      store.batches.cancel('batch_4', 5_000),
    ])
    assert.deepEqual(
      mixed.map((result) => (result.status === 'fulfilled' ? result.value : 'refused')),
      [true, false, 'refused', true],
    )
    await store.close()
  })
})

test('closing and opening again keeps everything', async () => {
  await inFolder(async (path) => {
    const first = await openSqliteStore({ path, onDeath })
    const file = sampleFile(1)
    await first.files.create(file)
    const batch = await createdBatch(first, 1)
    // Close waits for what was asked before.
    const cancelled = first.batches.cancel('batch_1', 5_000)
    await first.close()
    assert.equal(await cancelled, true)
    await first.close()
    await assert.rejects(first.check(), isTrouble('stopped', /closed/))
    const second = await openSqliteStore({ path, onDeath })
    assert.deepEqual(await second.files.get('file-1', TENANT), file)
    assert.deepEqual(await second.batches.get('batch_1', null), {
      ...batch,
      status: 'cancelling',
      endsAs: 'cancelled',
      cancellingAt: 5_000,
    })
    assert.equal(await second.newestAt(), 5_000)
    assert.equal((await createdBatch(second, 2)).seq, batch.seq + 1)
    await second.close()
  })
})

test('a database that demands a newer program is refused, and one that does not is used', async () => {
  await inFolder(async (path) => {
    await (await openSqliteStore({ path, onDeath })).close()
    const foreign = new DatabaseSync(path)
    foreign.exec('insert into schema_versions (version, minimum_program) values (7, 1)')
    await (await openSqliteStore({ path, onDeath })).close()
    foreign.exec('insert into schema_versions (version, minimum_program) values (9, 8)')
    foreign.close()
    await assert.rejects(
      openSqliteStore({ path, onDeath }),
      isTrouble('damaged', /schema version 9 .* at least version 8; this program knows versions up to \d/),
    )
  })
})

test('an older schema moves forward in order, all steps or none', async () => {
  await inFolder(async (path) => {
    await (await openSqliteStore({ path, onDeath })).close()
    const database = await openSqliteDatabase({ path, onDeath })
    const add = (place: 1 | 2, column: string, table: 'keys' | 'upstreams') => ({
      version: migrations.length + place,
      minimumProgram: 1,
      statements: ({ build }: Pick<typeof database, 'build'>): CompiledQuery[] => [
        build.schema.alterTable(table).addColumn(column, 'text').compile(),
      ],
    })
    await assert.rejects(
      migrate(database, [...migrations, add(1, 'colour', 'keys'), add(2, 'colour', 'keys')]),
    )
    // The first went back together with the refused second one, so both can be added now.
    await migrate(database, [...migrations, add(1, 'colour', 'keys'), add(2, 'shape', 'keys')])
    await migrate(database, [...migrations, add(1, 'colour', 'keys'), add(2, 'shape', 'keys')])
    await database.close()
    const foreign = new DatabaseSync(path)
    const versions = foreign.prepare('select version from schema_versions order by version').all()
    assert.deepEqual(
      versions.map(({ version }) => version),
      Array.from({ length: migrations.length + 2 }, (_, place) => place + 1),
    )
    foreign.prepare('select colour, shape from keys').all()
    foreign.close()
  })
})

test('a file that is no database is damage, and a folder that is absent a failed disk', async () => {
  await inFolder(async (path) => {
    writeFileSync(path, 'this is no database, whatever its name says. '.repeat(100))
    await assert.rejects(openSqliteStore({ path, onDeath }), isTrouble('damaged', /backup/))
    await assert.rejects(
      openSqliteStore({ path: `${path}-absent/dw.sqlite`, onDeath }),
      isTrouble('disk_failed', /absent/),
    )
  })
})

test('a full disk refuses every unit of the group and leaves the database usable', async () => {
  await inFolder(async (path) => {
    await (await openSqliteStore({ path, onDeath })).close()
    const store = await openSqliteStore({ path, onDeath, pagesMax: 60 })
    await createdBatch(store, 1)
    // Too big for the pages also when it has a commit of its own.
    const big = { note: 'x'.repeat(300_000) }
    // On a busy machine the small unit may have a commit of its own, and then it succeeds: told is what happened.
    const [cancelled, ...created] = await Promise.allSettled([
      store.batches.cancel('batch_1', 5_000),
      store.batches.create(sampleBatch(2, { metadata: big }), null),
      store.batches.create(sampleBatch(3, { metadata: big }), null),
    ])
    const row = await store.batches.get('batch_1', null)
    const isCancelled = cancelled?.status === 'fulfilled'
    const second = await store.batches.get('batch_2', null)
    const wasCancelledLater = isCancelled || (await store.batches.cancel('batch_1', 6_000))
    await store.close()
    for (const result of created) {
      assert.equal(result.status, 'rejected')
      assert.ok(isTrouble('disk_full', /no space left/)(result.status === 'rejected' && result.reason))
    }
    assert.equal(row?.status, isCancelled ? 'cancelling' : 'validating')
    assert.equal(second, null)
    assert.equal(wasCancelledLater, true)
    const foreign = new DatabaseSync(path)
    assert.deepEqual(Object.values(foreign.prepare('pragma integrity_check').get() ?? {}), ['ok'])
    foreign.close()
  })
})

test('a page that would not fit into one reply ends early and says that there is more', async () => {
  await inFolder(async (path) => {
    const store = await openSqliteStore({ path, onDeath })
    const metadata = { note: 'x'.repeat(3_000_000) }
    for (let number = 0; number < 5; number += 1) await createdBatch(store, number, { metadata })
    for (const activeFirst of [false, true]) {
      const seen: string[] = []
      for (let isLast = false; !isLast; ) {
        const page = await store.batches.list(TENANT, { activeFirst, after: seen.at(-1) ?? null, limit: 100 })
        assert.ok(page.items.length > 0 && page.items.length < 5)
        seen.push(...page.items.map(({ id }) => id))
        isLast = !page.hasMore
      }
      assert.deepEqual(seen, ['batch_4', 'batch_3', 'batch_2', 'batch_1', 'batch_0'])
    }
    await store.close()
  })
})

test('no list reads a whole table or sorts it', async () => {
  await inFolder(async (path) => {
    const database = await openSqliteDatabase({ path, onDeath })
    await migrate(database)
    const asked: string[] = []
    // Passes everything through; the types of the rows are those of the queries.
    const read = ((...queries: CompiledQuery[]) => {
      asked.push(...queries.map((query) => query.sql))
      return database.read(...queries)
    }) as typeof database.read
    const store = createSqlStore({ ...database, read })
    await createdBatch(store, 1)
    await store.files.create(sampleFile(1))
    for (const after of [null, 'batch_1']) {
      await store.batches.list(TENANT, { activeFirst: false, after, limit: 10 })
      await store.batches.list(TENANT, { activeFirst: true, after, limit: 10 })
    }
    for (const purpose of [null, 'batch']) {
      for (const order of ['asc', 'desc'] as const) {
        await store.files.list(TENANT, { purpose, order, after: null, limit: 10 })
        await store.files.list(TENANT, { purpose, order, after: 'file-1', limit: 10 })
      }
    }
    await Promise.all([store.batches.live({ after: 0, limit: 9 }), store.batches.children('batch_1')])
    await Promise.all([
      store.files.expired(1, 9),
      store.files.removable(9),
      store.batches.get('batch_1', TENANT),
    ])
    await store.close()
    const foreign = new DatabaseSync(path)
    for (const sql of new Set(asked.filter((text) => !/ from "watermarks"/.test(text)))) {
      const plan = foreign.prepare(`explain query plan ${sql}`).all()
      const text = plan.map(({ detail }) => detail).join('; ')
      // Batches that ended since a walk began are few; only they are put in order.
      if (/"ended_number" > /.test(sql)) assert.match(text, /SEARCH .* batches_in_order_of_ending/, sql)
      else assert.doesNotMatch(text, /SCAN|TEMP B-TREE/, sql)
    }
    assert.ok(asked.length > 15)
    foreign.close()
  })
})

test('a unit is refused whole when one of its guards fails', async () => {
  await inFolder(async (path) => {
    const database = await openSqliteDatabase({ path, onDeath })
    await migrate(database)
    const put = (name: string) =>
      database.build
        .insertInto('upstreams')
        .values({ name, url: 'u', concurrency: 1, has_key: 0, created_at: 1 })
        .compile()
    const remove = database.build.deleteFrom('upstreams').where('name', '=', 'absent').compile()
    const outcome = await database.write([step(put('a'), 1), step(remove, 1), step(put('b'), 1)])
    assert.deepEqual(outcome, { isDone: false, failedStep: 1 })
    const [{ rows }] = await database.read(database.build.selectFrom('upstreams').selectAll().compile())
    assert.deepEqual(rows, [])
    await database.close()
  })
})

/** A process that creates batches as fast as it may and writes the id of each one that was acknowledged. */
const WRITER = `
  const { openSqliteStore } = await import(process.argv[2])
  const { sampleBatch } = await import(process.argv[3])
  const store = await openSqliteStore({ path: process.argv[4], onDeath() { process.exit(9) } })
  let number = Number(process.argv[5])
  const work = async () => {
    for (;;) {
      number += 1
      const id = 'batch_' + number
      await store.batches.create(sampleBatch(number), null)
      await store.batches.start(id, { linesTotal: 1, model: null, at: 5_000 })
      process.stdout.write(id + '\\n')
    }
  }
  for (let worker = 0; worker < 16; worker += 1) void work()
`

function startWriter(path: string, firstNumber: number): ChildProcess {
  const url = (name: string): string => new URL(name, import.meta.url).href
  const program = `${path}.writer.mjs`
  writeFileSync(program, WRITER)
  const args = [program, url('./sqlite-store.ts'), url('./store-samples.ts'), path, String(firstNumber)]
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

test('no acknowledged unit is lost when the process is killed', async () => {
  await inFolder(async (path) => {
    const acknowledged: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const writer = startWriter(path, round * 1_000_000)
      const exited = once(writer, 'exit')
      assert.ok(writer.stdout !== null)
      let heard = 0
      for await (const id of createInterface({ input: writer.stdout })) {
        // A line that the kill has cut off was not acknowledged as a whole.
        if (!/^batch_\d+$/.test(id)) continue
        acknowledged.push(id)
        heard += 1
        // A different moment of the group commit in every round.
        if (heard === 40 + 17 * round) writer.kill('SIGKILL')
      }
      assert.deepEqual(await exited, [null, 'SIGKILL'])
      const store = await openSqliteStore({ path, onDeath })
      const found = await Promise.all(acknowledged.map((id) => store.batches.get(id, null)))
      assert.deepEqual(
        acknowledged.filter((_, place) => found[place]?.status !== 'in_progress'),
        [],
      )
      await store.close()
    }
    assert.ok(acknowledged.length > 200)
  })
})
