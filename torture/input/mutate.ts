/** Makes one input from another: small changes of bytes, and pieces that have broken parsers before. */
import type { Random } from '../../src/lib/random.ts'

const BYTES_MAX = 64 * 1024
const CHANGES_MAX = 6
const pieces = [
  '\u0000',
  '\ufeff',
  '\r\n',
  '\n\n',
  '\u2028',
  '"',
  '\\',
  '\\"',
  '\\ud800',
  '\\u0000',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  'null',
  '-0',
  '1e999',
  '123456789012345678901234567890',
  '"__proto__":{"polluted":true},',
  '"constructor":{"prototype":{"polluted":true}},',
  '../',
  '..%2f',
  '%00',
  '%',
  ';',
  '\u{1f600}',
  'é',
  '-',
  '--',
  'bytes=0-',
  'a'.repeat(300),
  '['.repeat(200),
  '{"a":'.repeat(200),
]
const strangeBytes = [0x00, 0x80, 0xc0, 0xed, 0xf5, 0xff]

export function mutate(random: Random, corpus: readonly Buffer[]): Buffer {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random.float() * all.length)] as T
  let bytes: Buffer = Buffer.from(pick(corpus))
  const changes = 1 + Math.floor(random.float() * CHANGES_MAX)
  for (let change = 0; change < changes; change += 1) {
    const at = Math.floor(random.float() * (bytes.byteLength + 1))
    const end = Math.min(bytes.byteLength, at + Math.floor(random.float() ** 3 * 200))
    const [before, middle, behind] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)]
    const acts: (() => Buffer)[] = [
      () => flip(bytes, at, random),
      () => Buffer.concat([before, behind]),
      () => Buffer.concat([before, middle, middle, behind]),
      () => Buffer.concat([before, Buffer.from(pick(pieces)), middle, behind]),
      () => Buffer.concat([before, Buffer.of(pick(strangeBytes)), middle, behind]),
      () => splice(before, pick(corpus), random),
      () => before,
    ]
    bytes = pick(acts)()
  }
  return bytes.subarray(0, BYTES_MAX)
}

function flip(bytes: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  if (at < copy.byteLength) copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random.float() * 8))
  return copy
}

function splice(before: Buffer, other: Buffer, random: Random): Buffer {
  return Buffer.concat([before, other.subarray(Math.floor(random.float() * other.byteLength))])
}
