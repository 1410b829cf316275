import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { createBars, createLines } from './progress-display.ts'
import type { BatchView } from './progress-line.ts'

function view(more: Partial<BatchView> = {}): BatchView {
  return {
    id: 'batch_0123456789abcdefghijklmnop',
    status: 'in_progress',
    total: 100,
    completed: 10,
    failed: 0,
    isEnded: false,
    requestsPerSecond: 5,
    tokensPerSecond: null,
    etaMs: 18_000,
    dueMs: null,
    reason: null,
    trouble: null,
    ...more,
  }
}

class Screen extends EventEmitter {
  columns = 100
  rows = 10
  writes: string[] = []
  write(text: string): void {
    this.writes.push(text)
  }
}

/** What a terminal that is wide enough shows after these writes. */
function screenOf(writes: readonly string[]): string[] {
  const lines = ['']
  let row = 0
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the control codes are what is read here
  for (const [token, up, other] of writes.join('').matchAll(/\u001b\[(\d+)A|(\u001b\[[KJ]|[\s\S])/g)) {
    if (up !== undefined) row -= Number(up)
    else if (token === '\u001b[J') lines.length = row + 1
    else if (token === '\u001b[K') continue
    else if (token === '\r') lines[row] = ''
    else if (token === '\n') {
      row += 1
      lines[row] = ''
    } else lines[row] = (lines[row] ?? '') + other
    assert.ok(row >= 0, 'never above the first line')
  }
  return lines
}

test('bars are drawn over the ones before, in one write each', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const screen = new Screen()
  let views = [view(), view({ id: 'batch_b' })]
  const bars = createBars(screen, { views: () => views, isColoured: false })
  t.mock.timers.tick(0)
  assert.equal(screen.writes.length, 1)
  views = [view({ completed: 50 }), view({ id: 'batch_b', completed: 60 })]
  bars.changed()
  t.mock.timers.tick(200)
  assert.equal(screen.writes.length, 2)
  bars.end()
  const lines = screenOf(screen.writes)
  assert.equal(lines.length, 3)
  assert.match(lines[0] ?? '', /50%/)
  assert.match(lines[1] ?? '', /batch_b .*60%/)
  t.mock.timers.tick(10_000)
  assert.equal(screen.writes.length, 3)
})

test('many changes at once cost one drawing', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const screen = new Screen()
  const bars = createBars(screen, { views: () => [view()], isColoured: false })
  t.mock.timers.tick(0)
  for (let change = 0; change < 1_000; change += 1) bars.changed()
  t.mock.timers.tick(100)
  assert.equal(screen.writes.length, 2)
  bars.end()
})

test('a line that stays goes above the bars', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const screen = new Screen()
  const bars = createBars(screen, { views: () => [view()], isColoured: false })
  t.mock.timers.tick(0)
  bars.say('batch_b was created')
  bars.end()
  const lines = screenOf(screen.writes)
  assert.equal(lines[0], 'batch_b was created')
  assert.match(lines[1] ?? '', /10%/)
})

test('more batches than rows show what runs, and how many more there are', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const screen = new Screen()
  const views = Array.from({ length: 30 }, (_, number) =>
    view({ id: `batch_${number}`, isEnded: number < 25 }),
  )
  const bars = createBars(screen, { views: () => views, isColoured: false })
  t.mock.timers.tick(0)
  bars.end()
  const lines = screenOf(screen.writes)
  assert.equal(lines.length, 10)
  assert.match(lines[0] ?? '', /batch_25/)
  assert.equal(lines[8], '… and 22 more; 25 of 30 have ended')
})

test('plain lines come at the start, with each change of state, and every ten seconds', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const written: string[] = []
  let current = view({ status: null, total: 0, completed: 0 })
  const lines = createLines((line) => written.push(line), { views: () => [current], now: () => 0 })
  assert.match(written[0] ?? '', /batch_0123456789abcdefghijklmnop no answer yet$/)
  current = view({ status: 'in_progress' })
  lines.changed()
  lines.changed()
  assert.equal(written.length, 2)
  t.mock.timers.tick(25_000)
  assert.equal(written.length, 4)
  current = view({ reason: 'waiting: 401 from http://a' })
  lines.changed()
  assert.match(written[4] ?? '', /waiting: 401/)
  current = view({ status: 'completed', isEnded: true, completed: 100 })
  lines.end()
  assert.match(written[5] ?? '', /completed 100\/100 \(100%\)/)
  t.mock.timers.tick(60_000)
  assert.equal(written.length, 6)
})
