/** Engines as the operator named them. */
import { UPSTREAMS_MAX } from '../domain/limits.ts'
import { NO_UPSTREAM } from '../domain/usage.ts'
import { RefusedError, TroubleError } from '../lib/errors.ts'
import { type Database, step } from './database.ts'
import type { UpstreamStore } from './store.ts'
import type { Watermarks } from './watermarks.ts'

/** Guess: how often others may take the number that was found free. */
const NUMBER_ATTEMPTS_MAX = 8

export function createUpstreamStore(database: Database, watermarks: Watermarks): UpstreamStore {
  const { build } = database
  const inOrder = build
    .selectFrom('upstreams')
    .selectAll()
    .orderBy('created_at')
    .orderBy('name')
    .limit(UPSTREAMS_MAX)
    .compile()
  return {
    async put(row) {
      const others = build
        .selectFrom('upstreams')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('name', '<>', row.name)
      const [{ rows }] = await database.read(others.compile())
      if ((rows[0]?.count ?? 0) >= UPSTREAMS_MAX) {
        throw new RefusedError(
          'too_many_upstreams',
          `There are ${UPSTREAMS_MAX} upstreams already, the most this server keeps.`,
          { status: 409 },
        )
      }
      const facts = {
        url: row.url,
        concurrency: row.concurrency,
        has_key: row.hasKey ? 1 : 0,
        created_at: row.createdAt,
      }
      const upsert = build
        .insertInto('upstreams')
        .values({ name: row.name, ...facts })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(facts))
      await database.write([step(upsert.compile(), 1), watermarks.seen(row.createdAt)])
    },
    async list() {
      const [{ rows }] = await database.read(inOrder)
      return rows.map((row) => ({
        name: row.name,
        url: row.url,
        concurrency: row.concurrency,
        hasKey: row.has_key === 1,
        createdAt: row.created_at,
      }))
    },
    async numberOf(name) {
      const numbers = build.selectFrom('upstream_numbers')
      const known = numbers.select('number').where('name', '=', name).compile()
      // Two that ask at the same moment get the same: the name is unique.
      for (let attempt = 0; attempt < NUMBER_ATTEMPTS_MAX; attempt += 1) {
        const highest = numbers.select(({ fn }) => fn.max('number').as('number')).compile()
        const [found, last] = await database.read(known, highest)
        const [row] = found.rows
        if (row !== undefined) return row.number
        const next = (last.rows[0]?.number ?? -1) + 1
        const number = next === NO_UPSTREAM ? next + 1 : next
        const insert = build
          .insertInto('upstream_numbers')
          .values({ number, name })
          .onConflict((conflict) => conflict.doNothing())
        await database.write([step(insert.compile())])
      }
      throw new TroubleError('interrupted', `no number could be found for upstream ${name}: try again`)
    },
    async numbers() {
      const [{ rows }] = await database.read(build.selectFrom('upstream_numbers').selectAll().compile())
      return new Map(rows.map(({ number, name }) => [number, name]))
    },
    async remove(name) {
      const remove = build.deleteFrom('upstreams').where('name', '=', name)
      return (await database.write([step(remove.compile(), 1)])).isDone
    },
  }
}
