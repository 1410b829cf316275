import { randomBytes, randomInt } from 'node:crypto'

/** The only source of randomness, so that a test can replay it from a seed. */
export type Random = {
  bytes(count: number): Uint8Array
  /** Uniform in [0, 1). */
  float(): number
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  float: () => randomInt(0, 281_474_976_710_655) / 281_474_976_710_655,
}

/** Deterministic randomness (mulberry32), for the simulated model and for tests. Not for secrets. */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
    float: next,
  }
}
