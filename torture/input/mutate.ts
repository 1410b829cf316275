/** Makes one input from others: changes of bytes and of structure, and pieces that have broken parsers before. */
import type { Random } from '../../src/lib/random.ts'

const BYTES_MAX = 64 * 1024
const CHANGES_MAX = 6
/** How seldom an input is blown up: it takes as long as dozens of others. */
const BLOWN_UP_SHARE = 0.01

const pieces = [
  ...['\u0000', '\ufeff', '\r\n', '\r', '\n\n', '\u2028', '\u{1f600}', 'é', '\u007f', ' ', '\t'],
  ...['"', '\\', '\\"', '\\\\', '\\ud800', '\\udc00\\ud800', '\\u0000', '{', '}', '[', ']', ',', ':'],
  ...['null', 'true', '""', '{}', '[]', '-0', '1e999', '-1', '0.1', '1E400', '4294967296', '9007199254740993'],
  ...['123456789012345678901234567890', '9'.repeat(400), 'NaN', 'Infinity', '0x10', '1_000'],
  ...['"__proto__":{"polluted":true},', '"constructor":{"prototype":{"polluted":true}},', '"__proto__":"a",'],
  ...['__proto__', 'constructor', 'prototype', 'toString', '"a":1,"a":2,'],
  ...['../', '..%2f', '%2e%2e/', '%00', '%', '%u0000', '%c0%af', '//', ';', '?', '#', '&', '=', '[]='],
  ...['-', '--', '*', 'a'.repeat(300), '['.repeat(600), '{"a":'.repeat(600), '(('.repeat(50)],
].map((text) => Buffer.from(text))
/** No UTF-8, or cut off: overlong, a surrogate, beyond the last character, the first byte of several; marks of UTF-16. */
const strangeBytes = ['00', '80', 'c0af', 'c080', 'eda080', 'f4908080', 'f5', 'ff', 'e282', 'f09f', 'fffe', 'feff']
const strange = strangeBytes.map((hex) => Buffer.from(hex, 'hex'))

/** @param source inputs to begin with, and pieces of the target's own language */
export function mutate(random: Random, source: { corpus: readonly Buffer[]; tokens: readonly Buffer[] }): Buffer {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random.float() * all.length)] as T
  let bytes: Buffer = pick(source.corpus)
  const changes = 1 + Math.floor(random.float() ** 2 * CHANGES_MAX)
  for (let change = 0; change < changes; change += 1) {
    const at = Math.floor(random.float() * (bytes.byteLength + 1))
    const end = Math.min(bytes.byteLength, at + Math.floor(random.float() ** 3 * 200))
    const [before, middle, behind] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)]
    const put = (piece: Buffer): Buffer => Buffer.concat([before, piece, behind])
    const acts: (() => Buffer)[] = [
      () => flip(bytes, at, random),
      () => put(Buffer.alloc(0)),
      () => put(Buffer.concat([middle, middle])),
      () => put(Buffer.concat([pick(pieces), middle])),
      () => put(pick(pieces)),
      () => put(Buffer.concat([pick(source.tokens.length > 0 ? source.tokens : pieces), middle])),
      () => put(Buffer.concat([pick(strange), middle])),
      () => put(Buffer.from(random.bytes(1 + Math.floor(random.float() * 8)))),
      () => Buffer.concat([before, partOf(pick(source.corpus), random), behind]),
      () => Buffer.concat([before, pick(source.corpus).subarray(at)]),
      () => otherNumber(bytes, at, random),
      () => before,
    ]
    bytes = pick(acts)()
  }
  if (random.float() < BLOWN_UP_SHARE) bytes = blownUp(bytes, random)
  return Buffer.from(bytes.subarray(0, BYTES_MAX))
}

function flip(bytes: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  if (at < copy.byteLength) copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random.float() * 8))
  return copy
}

function partOf(bytes: Buffer, random: Random): Buffer {
  const start = Math.floor(random.float() * bytes.byteLength)
  return bytes.subarray(start, start + Math.floor(random.float() * (bytes.byteLength - start + 1)))
}

/** The next run of digits becomes another number: near it, at a bound of a type, or far too large. */
function otherNumber(bytes: Buffer, from: number, random: Random): Buffer {
  const text = bytes.toString('latin1')
  const match = /\d+/.exec(text.slice(from)) ?? /\d+/.exec(text)
  if (match === null) return bytes
  const at = text.indexOf(match[0], match.index)
  const value = Number(match[0])
  const numbers = [value + 1, value - 1, -value, value * 10, 0, 2 ** 31, 2 ** 32, 2 ** 53, 1e21, 0.5]
  const other = String(numbers[Math.floor(random.float() * numbers.length)])
  return Buffer.from(text.slice(0, at) + other + text.slice(at + match[0].length), 'latin1')
}

/** One short part again and again, up to the limit: what takes longer than its bytes shows. */
function blownUp(bytes: Buffer, random: Random): Buffer {
  const at = Math.floor(random.float() * bytes.byteLength)
  const part = bytes.subarray(at, at + 1 + Math.floor(random.float() ** 2 * 40))
  if (part.byteLength === 0) return bytes
  const room = Math.floor(random.float() * (BYTES_MAX - bytes.byteLength))
  const many = Buffer.alloc(Math.max(part.byteLength, room), part)
  return Buffer.concat([bytes.subarray(0, at), many, bytes.subarray(at)])
}
