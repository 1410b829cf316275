/** Engines as the operator named them. */
import { UPSTREAMS_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'
import { type Database, step } from './database.ts'
import type { UpstreamStore } from './store.ts'
import type { Watermarks } from './watermarks.ts'

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
    async remove(name) {
      const remove = build.deleteFrom('upstreams').where('name', '=', name)
      return (await database.write([step(remove.compile(), 1)])).isDone
    },
  }
}
