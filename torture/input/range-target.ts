/** Headers that ask for a part of a file, and windows, against plain readings of what they mean. */
import { isTagAmong, readRange } from '../../src/api/byte-range.ts'
import { windowMs } from '../../src/domain/window.ts'
import type { Target } from './target.ts'

type Part = { start: number; end: number }

export function rangeTarget(): Target {
  return {
    name: 'ranges and windows',
    seeds: ['bytes=0-', 'bytes=5-10', 'bytes=-5', 'bytes=0-0', 'W/"a", "b"', '24h', '90m', '"file-1"'].map(
      (text) => Buffer.from(text),
    ),
    tokens: ['bytes=', '-', ',', 'W/', '"a"', '*', '0-0', 's', 'm', 'h', 'd'],
    run(input, random) {
      const text = input.toString('latin1')
      const bytes = Math.floor(random.float() ** 4 * 2 ** 40)
      const range = readRange(text, bytes)
      const wanted = partOf(text, bytes)
      const found = range.kind === 'part' ? { start: range.start, end: range.end } : range.kind
      if (JSON.stringify(found) !== JSON.stringify(wanted))
        return `of ${bytes} bytes ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`
      const ms = windowMs(text)
      if (ms !== null && !(Number.isSafeInteger(ms) && ms > 0 && /^\d+[smhd]$/.test(text)))
        return `a window of ${ms} ms`
      const isAmong = isTagAmong(text, '"a"')
      return isAmong && !text.includes('"a"') && !text.includes('*') ? 'a tag that is not there is found' : null
    },
  }
}

/** One range of bytes, digit by digit. Whatever is not exactly that asks for the whole. */
export function partOf(header: string, bytes: number): Part | 'whole' | 'unsatisfiable' {
  const text = header.trim()
  const [first, last, ...more] = text.slice('bytes='.length).split('-')
  const isForm = text.startsWith('bytes=') && first !== undefined && last !== undefined && more.length === 0
  // More digits than any file has bytes.
  const isNumber = (digits = ''): boolean => digits.length <= 15 && [...digits].every((digit) => '0123456789'.includes(digit))
  if (!isForm || !isNumber(first) || !isNumber(last) || first + last === '') return 'whole'
  if (first === '') {
    if (Number(last) === 0 || bytes === 0) return 'unsatisfiable'
    return { start: Math.max(0, bytes - Number(last)), end: bytes }
  }
  if (last !== '' && Number(last) < Number(first)) return 'whole'
  if (Number(first) >= bytes) return 'unsatisfiable'
  return { start: Number(first), end: last === '' ? bytes : Math.min(Number(last) + 1, bytes) }
}
