/** One bit per line, in a byte array: bit `index & 7` of byte `index >> 3`. */

export function newBitmap(bits: number): Uint8Array {
  return new Uint8Array(Math.ceil(bits / 8))
}

export function hasBit(bitmap: Uint8Array, index: number): boolean {
  return ((bitmap[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0
}

export function setBit(bitmap: Uint8Array, index: number): void {
  const place = index >>> 3
  bitmap[place] = (bitmap[place] ?? 0) | (1 << (index & 7))
}
