import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addSample, emptyTrack, remainingMs, speedOf, type Track } from './progress.ts'

/** Looks at a batch that runs at a constant rate. */
function watched(options: {
  perSecond: number
  everyMs: number
  untilMs: number
  startedMs?: number
  tokensPerLine?: number
}): Track {
  const { perSecond, everyMs, untilMs, startedMs = 0, tokensPerLine = 10 } = options
  let track = emptyTrack
  for (let at = startedMs; at <= untilMs; at += everyMs) {
    const done = Math.floor((at * perSecond) / 1_000)
    track = addSample(track, { at, done, tokens: done * tokensPerLine })
  }
  return track
}

test('at a constant rate the remaining time is right within 20 % once 20 % is done', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.05, max: 20_000, noNaN: true }),
      fc.integer({ min: 100, max: 1_000_000 }),
      fc.integer({ min: 500, max: 2_000 }),
      fc.double({ min: 0.2, max: 0.95, noNaN: true }),
      (perSecond, total, everyMs, part) => {
        const wholeMs = (total / perSecond) * 1_000
        // A batch that is over within a few looks has no time to be told anything; a very long one is the same story.
        fc.pre(wholeMs * part > 4 * everyMs && (wholeMs * part) / everyMs < 5_000)
        const now = wholeMs * part
        const track = watched({ perSecond, everyMs, untilMs: now })
        const done = track.samples.at(-1)?.done ?? 0
        const left = remainingMs({ done, total }, speedOf(track, now).linesPerSecond)
        assert.ok(left !== null)
        const truth = wholeMs - now
        // Between two looks the newest figure is up to one look old.
        assert.ok(
          Math.abs(left - truth) <= 0.2 * truth + 2 * everyMs + 1_000 / perSecond,
          `${left} for ${truth}`,
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('tokens per second follow the same moments', () => {
  const track = watched({ perSecond: 100, everyMs: 1_000, untilMs: 30_000, tokensPerLine: 25 })
  assert.equal(Math.round(speedOf(track, 30_000).tokensPerSecond ?? 0), 2_500)
})

test('nothing is told before two moments differ', () => {
  const first = addSample(emptyTrack, { at: 0, done: 40, tokens: null })
  assert.equal(speedOf(first, 10_000).linesPerSecond, null)
  assert.equal(speedOf(emptyTrack, 10_000).linesPerSecond, null)
})

test('time spent before the first line does not slow the speed', () => {
  let track = watched({ perSecond: 0, everyMs: 1_000, untilMs: 60_000 })
  for (let second = 1; second <= 10; second += 1)
    track = addSample(track, { at: 60_000 + second * 1_000, done: second * 50, tokens: null })
  assert.equal(speedOf(track, 70_000).linesPerSecond, 50)
})

test('an old speed is forgotten after a minute', () => {
  let track = watched({ perSecond: 1_000, everyMs: 1_000, untilMs: 100_000 })
  for (let second = 1; second <= 61; second += 1)
    track = addSample(track, { at: 100_000 + second * 1_000, done: 100_000 + second * 10, tokens: null })
  assert.equal(Math.round(speedOf(track, 161_000).linesPerSecond ?? 0), 10)
})

test('a batch that stands still slows down', () => {
  const track = watched({ perSecond: 100, everyMs: 1_000, untilMs: 30_000 })
  const standing = addSample(track, { at: 60_000, done: 3_000, tokens: null })
  assert.equal(speedOf(standing, 60_000).linesPerSecond, 50)
})

test('a track stays small however long the batch is watched', () => {
  const slow = watched({ perSecond: 0.05, everyMs: 2_000, untilMs: 20_000_000 })
  const fast = watched({ perSecond: 500, everyMs: 100, untilMs: 1_000_000 })
  assert.ok(slow.samples.length <= 256 && fast.samples.length <= 256)
})

test('a count that goes back starts a new track', () => {
  const track = addSample(watched({ perSecond: 10, everyMs: 1_000, untilMs: 9_000 }), {
    at: 10_000,
    done: 5,
    tokens: null,
  })
  assert.deepEqual(track.samples, [{ at: 10_000, done: 5, tokens: null }])
})
