/**
 * Which ids have been seen, at 8 to 24 bytes each whatever their length: 64 bits of a hash stand for an id. Two of a million ids
 * fall together once in about forty million runs; the set then takes the second for the first.
 */
export type IdSet = {
  readonly size: number
  /** @returns false when it was there */
  add(id: string): boolean
  has(id: string): boolean
}

const SLOTS_FIRST = 1_024
/** Beyond this share of taken slots the table doubles. */
const LOAD_MAX = 2 / 3

export function createIdSet(): IdSet {
  /** Two words a slot; a free one holds two zeros. */
  let table = new Uint32Array(2 * SLOTS_FIRST)
  let size = 0

  /** The slot that holds the hash, or the free one where it belongs. */
  const slotOf = (words: Uint32Array, [high, low]: Hash): number => {
    const mask = words.length / 2 - 1
    for (let slot = high & mask; ; slot = (slot + 1) & mask) {
      const isHere = words[2 * slot] === high && words[2 * slot + 1] === low
      if (isHere || isFree(words, slot)) return slot
    }
  }
  const put = (words: Uint32Array, slot: number, [high, low]: Hash): void => {
    words[2 * slot] = high
    words[2 * slot + 1] = low
  }
  const grow = (): void => {
    const larger = new Uint32Array(2 * table.length)
    for (let at = 0; at < table.length; at += 2) {
      if (isFree(table, at / 2)) continue
      const hash: Hash = [table[at] ?? 0, table[at + 1] ?? 0]
      put(larger, slotOf(larger, hash), hash)
    }
    table = larger
  }
  return {
    get size() {
      return size
    },
    add(id) {
      const hash = hashOf(id)
      const slot = slotOf(table, hash)
      if (!isFree(table, slot)) return false
      put(table, slot, hash)
      size += 1
      if (size > (table.length / 2) * LOAD_MAX) grow()
      return true
    },
    has: (id) => !isFree(table, slotOf(table, hashOf(id))),
  }
}

type Hash = readonly [high: number, low: number]

function isFree(words: Uint32Array, slot: number): boolean {
  return words[2 * slot] === 0 && words[2 * slot + 1] === 0
}

/** Two multiplicative hashes with different factors, mixed with each other at the end. Never two zeros. */
function hashOf(text: string): Hash {
  let one = 0x9e3779b9
  let two = 0x7f4a7c15
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    one = Math.imul(one ^ unit, 0x85ebca6b)
    one = (one << 13) | (one >>> 19)
    two = Math.imul(two ^ unit, 0xc2b2ae35)
    two = (two << 17) | (two >>> 15)
  }
  const high = mixed(one ^ Math.imul(two, 0x27d4eb2f)) >>> 0
  const low = mixed(two ^ text.length) >>> 0
  return high === 0 && low === 0 ? [0, 1] : [high, low]
}

function mixed(word: number): number {
  let mix = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35)
  return mix ^ (mix >>> 16)
}
