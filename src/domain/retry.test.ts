import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RETRY_AFTER_MS_MAX } from './limits.ts'
import { type CallResult, judge, retryAfterMs, retryDelayMs, type Verdict } from './retry.ts'

const answered = (
  status: number,
  more: { isJsonObject?: boolean; errorCodes?: string[] } = {},
): CallResult => ({
  kind: 'answered',
  status,
  isJsonObject: more.isJsonObject ?? true,
  errorCodes: more.errorCodes ?? [],
})

test('every way a call can end has its one verdict', () => {
  const table: [CallResult, Verdict][] = [
    [answered(200), 'succeeded'],
    [answered(201), 'succeeded'],
    [answered(200, { isJsonObject: false }), 'doubtful'],
    [answered(400), 'refused'],
    [answered(404), 'refused'],
    [answered(413), 'refused'],
    [answered(422), 'refused'],
    [answered(401), 'upstream'],
    [answered(402), 'upstream'],
    [answered(403), 'upstream'],
    [answered(301), 'upstream'],
    [answered(429), 'capacity'],
    [answered(503), 'capacity'],
    [answered(529), 'capacity'],
    [answered(429, { errorCodes: ['insufficient_quota'] }), 'upstream'],
    [answered(500), 'doubtful'],
    [answered(502, { isJsonObject: false }), 'doubtful'],
    [answered(408), 'doubtful'],
    [{ kind: 'failed', failure: 'connect' }, 'upstream'],
    [{ kind: 'failed', failure: 'reset' }, 'doubtful'],
    [{ kind: 'failed', failure: 'stall' }, 'doubtful'],
    [{ kind: 'failed', failure: 'cut' }, 'doubtful'],
    [{ kind: 'failed', failure: 'answer_too_large' }, 'refused'],
  ]
  for (const [result, verdict] of table) assert.equal(judge(result), verdict, JSON.stringify(result))
})

test('every form of Retry-After is read, and none waits longer than the bound', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const read = (retryAfter?: string, retryAfterMsText?: string): number | null =>
    retryAfterMs({ retryAfter, retryAfterMs: retryAfterMsText }, now)
  assert.equal(read('3'), 3_000)
  assert.equal(read('0'), 0)
  assert.equal(read('1.5'), 1_500)
  assert.equal(read(' 7 '), 7_000)
  assert.equal(read('Thu, 01 Jan 2026 00:00:10 GMT'), 10_000)
  assert.equal(read('Thu, 01 Jan 2025 00:00:10 GMT'), 0)
  assert.equal(read('3', '250'), 250)
  assert.equal(read('3', 'soon'), 3_000)
  assert.equal(read('soon'), null)
  assert.equal(read('-5'), null)
  assert.equal(read(undefined), null)
  assert.equal(read('999999999'), RETRY_AFTER_MS_MAX)
})

test('a delay never exceeds its ceiling and grows with the failures', () => {
  const natural = fc.integer({ min: 1, max: 1_000 })
  fc.assert(
    fc.property(natural, fc.double({ min: 0, max: 0.999_999, noNaN: true }), (failures, draw) => {
      const delayMs = retryDelayMs(failures, { firstMs: 500, delayMsMax: 30_000, draw })
      return delayMs >= 0 && delayMs <= Math.min(30_000, 500 * 2 ** Math.min(failures - 1, 30))
    }),
  )
  assert.equal(retryDelayMs(1, { firstMs: 500, delayMsMax: 30_000, draw: 1 }), 500)
  assert.equal(retryDelayMs(4, { firstMs: 500, delayMsMax: 30_000, draw: 1 }), 4_000)
})
