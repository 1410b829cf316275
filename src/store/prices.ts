/** Prices. One that was set is never changed: a later one holds from its own moment on, so that old batches keep theirs. */
import { PRICES_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'
import { type Database, step } from './database.ts'
import type { PriceStore } from './store.ts'
import type { Watermarks } from './watermarks.ts'

export function createPriceStore(database: Database, watermarks: Watermarks): PriceStore {
  const { build } = database
  return {
    async list() {
      const query = build
        .selectFrom('prices')
        .selectAll()
        .orderBy('model')
        .orderBy('window')
        .orderBy('valid_from_at')
        .limit(PRICES_MAX)
      const [{ rows }] = await database.read(query.compile())
      return rows.map((row) => ({
        model: row.model,
        window: row.window,
        validFromAt: row.valid_from_at,
        inputPerMillion: row.input_per_million,
        cachedInputPerMillion: row.cached_input_per_million,
        outputPerMillion: row.output_per_million,
      }))
    },
    async add(versions) {
      const count = build.selectFrom('prices').select(({ fn }) => fn.countAll<number>().as('count'))
      const [{ rows }] = await database.read(count.compile())
      if ((rows[0]?.count ?? 0) + versions.length > PRICES_MAX) {
        throw new RefusedError(
          'too_many_prices',
          `A server keeps at most ${PRICES_MAX} prices, old ones too.`,
          {
            status: 409,
          },
        )
      }
      await database.write(
        versions.flatMap((version) => {
          const { model, window, validFromAt } = version
          const facts = {
            input_per_million: version.inputPerMillion,
            cached_input_per_million: version.cachedInputPerMillion,
            output_per_million: version.outputPerMillion,
          }
          const insert = build
            .insertInto('prices')
            .values({ model, window, valid_from_at: validFromAt, ...facts })
            .onConflict((conflict) =>
              conflict.columns(['model', 'window', 'valid_from_at']).doUpdateSet(facts),
            )
          return [step(insert.compile(), 1), watermarks.seen(validFromAt)]
        }),
      )
    },
  }
}
