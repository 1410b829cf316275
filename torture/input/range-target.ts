/** Headers that ask for a range, against the definition. */
import { readRange } from '../../src/api/byte-range.ts'
import { windowMs } from '../../src/domain/window.ts'
import type { Target } from './target.ts'

export function rangeTarget(): Target {
  return {
    name: 'ranges and windows',
    seeds: ['bytes=0-', 'bytes=5-10', 'bytes=-5', 'bytes=0-0', '24h', '90m'].map((text) => Buffer.from(text)),
    run(input) {
      const text = input.toString('latin1')
      const bytes = input.byteLength * 7
      const range = readRange(text, bytes)
      if (range.kind === 'part' && !(range.start >= 0 && range.start < range.end && range.end <= bytes))
        return `${JSON.stringify(text)} of ${bytes} is ${JSON.stringify(range)}`
      const ms = windowMs(text)
      if (ms !== null && !(Number.isSafeInteger(ms) && ms > 0))
        return `the window ${JSON.stringify(text)} is ${ms} ms`
      return null
    },
  }
}
