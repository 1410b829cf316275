/** Something that takes input from outside, with what must hold whatever comes. */
import type { Random } from '../../src/lib/random.ts'

export type Target = {
  name: string
  /** What the first changes are made to; each must itself hold. */
  seeds: readonly Buffer[]
  /** Pieces that mean something to this one, put in by the changes. */
  tokens?: readonly string[]
  /** @returns what does not hold, or null; what it throws does not hold either */
  run(input: Buffer, random: Random): string | null | Promise<string | null>
}
