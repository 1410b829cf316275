/**
 * All prices with the moments from which they hold, in memory; the store has them first. A batch has the price of the moment in which
 * it was created, whatever is set later.
 */
import type { PriceRule } from '../domain/config.ts'
import { type Price, priceOf } from '../domain/price.ts'
import type { PriceStore, PriceVersion } from '../store/store.ts'

type Wanted = { model: string; window: string }

export class PriceBook {
  readonly #store: PriceStore
  /** By model and window, the oldest first. */
  readonly #versions = new Map<string, PriceVersion[]>()

  private constructor(store: PriceStore) {
    this.#store = store
  }

  static async open(store: PriceStore): Promise<PriceBook> {
    const book = new PriceBook(store)
    for (const version of await store.list()) book.#note(version)
    return book
  }

  /** Price of one token in 10⁻¹² units, as it was at that moment; null when none was set. */
  at(wanted: Wanted, instant: number): Price | null {
    const rule = this.#ruleAt(wanted, instant)
    return rule === null ? null : priceOf([rule], rule.model, rule.window)
  }

  /** Those that hold at that moment, by model and window. */
  current(instant: number): PriceRule[] {
    const names = [...this.#versions.keys()].toSorted()
    return names.flatMap((name) => {
      const [version] = this.#versions.get(name) ?? []
      const rule = version === undefined ? null : this.#ruleAt(version, instant)
      return rule === null ? [] : [rule]
    })
  }

  /** Makes these hold from that moment on, those that do not already; others stay. Durable when it resolves. */
  async set(
    wanted: readonly (Wanted &
      Pick<PriceVersion, 'inputPerMillion' | 'cachedInputPerMillion' | 'outputPerMillion'>)[],
    validFromAt: number,
  ): Promise<void> {
    const changed = wanted
      .filter((rule) => !isSame(rule, this.#ruleAt(rule, validFromAt)))
      .map((rule) => ({ ...rule, validFromAt }))
    if (changed.length === 0) return
    await this.#store.add(changed)
    for (const version of changed) this.#note(version)
  }

  #ruleAt(wanted: Wanted, instant: number): PriceRule | null {
    const version = this.#versions.get(nameOf(wanted))?.findLast(({ validFromAt }) => validFromAt <= instant)
    if (version === undefined || version.inputPerMillion === null || version.outputPerMillion === null)
      return null
    const { model, window, inputPerMillion, cachedInputPerMillion, outputPerMillion } = version
    return { model, window, inputPerMillion, cachedInputPerMillion, outputPerMillion }
  }

  #note(version: PriceVersion): void {
    const name = nameOf(version)
    const others = (this.#versions.get(name) ?? []).filter(
      ({ validFromAt }) => validFromAt !== version.validFromAt,
    )
    this.#versions.set(name, [...others, version])
  }
}

function nameOf({ model, window }: Wanted): string {
  return JSON.stringify([model, window])
}

function isSame(
  wanted: Pick<PriceVersion, 'inputPerMillion' | 'cachedInputPerMillion' | 'outputPerMillion'>,
  rule: PriceRule | null,
): boolean {
  return (
    wanted.inputPerMillion === (rule?.inputPerMillion ?? null) &&
    wanted.cachedInputPerMillion === (rule?.cachedInputPerMillion ?? null) &&
    wanted.outputPerMillion === (rule?.outputPerMillion ?? null)
  )
}
