import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cutTo,
  formatBytes,
  formatCount,
  formatDuration,
  formatLatency,
  formatList,
  formatNumber,
  formatShort,
  oneLine,
  percentOf,
  shellWord,
  widthOf,
} from './format.ts'

test('counts have thousands apart and the right number of their noun', () => {
  assert.equal(formatCount(1_234_567), '1,234,567')
  assert.equal(formatCount(0), '0')
  assert.equal(formatNumber(1, 'request'), '1 request')
  assert.equal(formatNumber(1_000, 'batch', 'batches'), '1,000 batches')
})

test('speeds keep at most three digits', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [0.04, '0.04'],
    [0.001, '0.01'],
    [0.4, '0.4'],
    [3, '3'],
    [11.7, '12'],
    [118.4, '118'],
    [999.6, '1k'],
    [1_240, '1.2k'],
    [210_400, '210k'],
    [999_600, '1M'],
    [3_440_000, '3.4M'],
  ]
  for (const [value, text] of cases) assert.equal(formatShort(value), text)
})

test('durations have their two largest units', () => {
  const cases: [number, string][] = [
    [-5, '0s'],
    [33_400, '33s'],
    [60_000, '1m'],
    [252_000, '4m12s'],
    [86_280_000, '23h58m'],
    [273_600_000, '3d4h'],
  ]
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text)
})

test('latencies and sizes carry their unit', () => {
  assert.equal(formatLatency(0.42), '0.4 ms')
  assert.equal(formatLatency(950), '950 ms')
  assert.equal(formatLatency(1_240), '1.24 s')
  assert.equal(formatBytes(512), '512 B')
  assert.equal(formatBytes(1_572_864), '1.5 MB')
})

test('a part is only 100 % when nothing is left', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 2_000_000_000 }), (part, total) => {
      assert.equal(percentOf(part, total) === 100, part >= total)
    }),
  )
})

test('text of others cannot move the cursor', () => {
  assert.equal(oneLine('a\u001b[2Jb\r\nc\u202ed'), 'a [2Jb c d')
})

test('cut text fits its columns', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat({ max: 40 }), (text, columns) => {
      assert.ok(widthOf(cutTo(text, columns)) <= columns)
    }),
  )
  assert.equal(cutTo('会議の記録', 6), '会議…')
})

test('words of a command survive a shell', () => {
  assert.equal(shellWord('output/a.jsonl'), 'output/a.jsonl')
  assert.equal(shellWord("it's here"), `'it'\\''s here'`)
  assert.equal(formatList(['a', 'b', 'c']), 'a, b and c')
})
