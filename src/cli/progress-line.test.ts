import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { widthOf } from './format.ts'
import { type BatchView, barLine, plainLine } from './progress-line.ts'

const running: BatchView = {
  id: 'batch_0123456789abcdefghijklmnop',
  status: 'in_progress',
  total: 10_000,
  completed: 6_078,
  failed: 42,
  isEnded: false,
  requestsPerSecond: 118,
  tokensPerSecond: 210_000,
  etaMs: 33_000,
  dueMs: 86_280_000,
  reason: null,
  trouble: null,
}

function shown(view: BatchView, columns: number): string {
  return barLine(view, columns)
    .map((piece) => piece.text)
    .join('')
}

test('a bar names id, part, counts, failures, speeds, end and deadline', () => {
  assert.equal(
    shown(running, 140),
    'batch_0123456789abcdefghijklmnop  ██████░░░░   61%  6,120/10,000  42 failed  118 req/s  210k tok/s  ETA 33s  due 23h58m',
  )
})

test('a narrow terminal keeps failures and the end, and loses the rest in order', () => {
  assert.equal(
    shown(running, 80),
    'batch_…klmnop  ██████░░░░   61%  6,120/10,000  42 failed  118 req/s  ETA 33s',
  )
  assert.equal(shown(running, 46), 'batch_…klmnop   61%  6,120/10,000  42 failed')
})

test('what holds a batch up stands at the end, cut to the width', () => {
  const waiting = {
    ...running,
    etaMs: null,
    reason: 'waiting: 401 from http://localhost:8000/v1/chat/completions',
  }
  assert.match(shown(waiting, 160), /waiting: 401 from http:\/\/localhost/)
  assert.match(shown(waiting, 80), /waiting: 401 from http.*…$/)
})

test('nothing looks finished before the first status, or before the last line', () => {
  const unknown = { ...running, status: null, total: 0, completed: 0, failed: 0 }
  assert.doesNotMatch(shown(unknown, 120), /%|█/)
  const almost = { ...running, completed: 9_999, failed: 0 }
  assert.match(shown(almost, 120), /█████████░ +99%/)
})

test('a batch that ended with failures is not shown as plain success', () => {
  const ended = { ...running, status: 'completed', completed: 9_958, failed: 42, isEnded: true }
  const pieces = barLine(ended, 120)
  assert.match(shown(ended, 120), /100% {2}10,000\/10,000 {2}42 failed {2}completed/)
  assert.ok(pieces.every((piece) => piece.style !== 'good'))
  const clean = barLine({ ...ended, completed: 10_000, failed: 0 }, 120)
  assert.ok(clean.some((piece) => piece.style === 'good'))
})

test('an end behind the deadline is marked', () => {
  const late = barLine({ ...running, etaMs: 7_200_000, dueMs: 3_600_000 }, 140)
  assert.equal(late.find((piece) => piece.text === 'ETA 2h')?.style, 'warn')
})

test('no line is wider than the terminal or holds control characters', () => {
  const view = fc.record({
    id: fc.constantFrom(running.id, 'batch-1', '会議_バッチ'),
    status: fc.constantFrom(null, 'validating', 'in_progress', 'completed', 'expired'),
    total: fc.integer({ min: 0, max: 10_000_000 }),
    completed: fc.nat(),
    failed: fc.nat(),
    isEnded: fc.boolean(),
    requestsPerSecond: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    tokensPerSecond: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true })),
    etaMs: fc.option(fc.nat()),
    dueMs: fc.option(fc.integer()),
    reason: fc.option(fc.string({ unit: 'grapheme' })),
    trouble: fc.option(fc.string({ unit: 'binary' })),
  })
  fc.assert(
    fc.property(view, fc.integer({ min: 1, max: 250 }), (drawn, columns) => {
      const text = shown(drawn, columns)
      assert.ok(widthOf(text) <= columns, `${widthOf(text)} of ${columns}: ${text}`)
      assert.doesNotMatch(text, /\p{Cc}/u)
      assert.doesNotMatch(plainLine(drawn, 0), /\p{Cc}/u)
    }),
  )
})

test('a plain line has the full id and figures as name and value', () => {
  assert.match(
    plainLine(running, 0),
    /^\d\d:\d\d:\d\d batch_0123456789abcdefghijklmnop in_progress 6120\/10000 \(61%\) failed=42 rate=118\/s tokens=210k\/s eta=33s due=23h58m$/,
  )
})
