/**
 * HalfSipHash-1-3 (Aumasson and Bernstein) over the UTF-16 units of a string. Keyed, so that nobody who does not know the key can
 * write ids that collide and make the search for duplicates slow.
 */

export type HashKey = { low: number; high: number }

/** 2^35: with the 18 bits of a place in a run a hash fills the 53 bits that a double holds exactly. */
export const HASH_RANGE = 2 ** 35

/** Rounds after the last word, before each half of the result. */
const FINAL_ROUNDS = 3

/** @returns an integer from 0 to `HASH_RANGE` (exclusive) */
export function keyedHash(text: string, key: HashKey): number {
  let v0 = key.low
  let v1 = key.high ^ 0xee
  let v2 = 0x6c796765 ^ key.low
  let v3 = 0x74656462 ^ key.high
  let low = 0
  const words = (text.length >>> 1) + 1
  // One loop for words and final rounds keeps the state in registers: this runs for every line.
  for (let round = 0; round < words + 2 * FINAL_ROUNDS; round += 1) {
    const word = round < words ? wordAt(text, round) : 0
    if (round === words) v2 ^= 0xee
    if (round === words + FINAL_ROUNDS) {
      low = (v1 ^ v3) >>> 0
      v1 ^= 0xdd
    }
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  return low * 8 + ((v1 ^ v3) & 7)
}

/** Two units a word; the last word holds a unit that is left over, and the length. */
function wordAt(text: string, word: number): number {
  const at = 2 * word
  if (at + 1 < text.length) return text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16)
  return (at < text.length ? text.charCodeAt(at) : 0) | (text.length << 24)
}
