import { createHash, hash } from 'node:crypto'
import type { Random } from '../lib/random.ts'

/** In ASCII order, so that ids sort as the numbers they stand for. */
const ALPHABET = '234567abcdefghijklmnopqrstuvwxyz'

export type IdPrefix = 'file-' | 'batch_' | 'key_' | 'req_' | 'tenant_' | 'whe_' | 'wh_'

/** `prefix` + lower-case base32 of 48 bits of time and 80 random bits (DESIGN §5). Ids made later sort later. */
export function newId(prefix: IdPrefix, at: number, random: Random): string {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, Math.floor(at / 4_294_967_296))
  view.setUint32(2, at % 4_294_967_296)
  bytes.set(random.bytes(10), 6)
  return prefix + base32(bytes)
}

/** 32 hex digits that name one line of one batch, the same for ever: the id of its result line and its upstream `Idempotency-Key`. */
export function lineHash(batchId: string, lineIndex: number): string {
  return hash('sha256', `${batchId}:${lineIndex}`, 'hex').slice(0, 32)
}

export function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(held >>> bits) & 31]
    }
    held &= (1 << bits) - 1
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31] : text
}

/** What is stored of a key: never the key itself. */
export function keyHash(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
