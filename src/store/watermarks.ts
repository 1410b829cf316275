/** The single row that remembers the newest instant stored anywhere and how many batches have ended. */
import { type Database, hole, type Step, template } from './database.ts'

/** Steps that go along with the writes of a noun. */
export type Watermarks = {
  /** Remembers an instant: server time never starts below it. */
  seen(at: number): Step
  /** One more batch has ended. Goes before the step that reads the new count. */
  ended(): Step
  newestAt(): Promise<number>
}

export function createWatermarks(database: Database): Watermarks {
  const { build } = database
  const seenQuery = build
    .updateTable('watermarks')
    .set({ newest_at: hole<number>('at') })
    .where('newest_at', '<', hole<number>('at'))
    .compile()
  const seenValues = template<'at'>(seenQuery)
  const endedQuery = build
    .updateTable('watermarks')
    .set(({ eb }) => ({ ended_count: eb('ended_count', '+', 1) }))
    .compile()
  const newestQuery = build.selectFrom('watermarks').select('newest_at').compile()
  return {
    seen: (at) => ({ sql: seenQuery.sql, runs: [seenValues({ at })], expects: null }),
    ended: () => ({ sql: endedQuery.sql, runs: [template(endedQuery)({})], expects: 1 }),
    async newestAt() {
      const [{ rows }] = await database.read(newestQuery)
      return rows[0]?.newest_at ?? 0
    },
  }
}
