import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelShare } from '../../domain/file.ts'
import { decimalOf } from '../../domain/price.ts'
import { costBound, type ModelPrices } from './cost-bound.ts'

const share: ModelShare = {
  model: 'm',
  lines: 10,
  bodyBytes: 0,
  promptBytes: 4_000_000,
  outputTokensLimit: 1_000_000,
  outputTokensLimitLines: 9,
}
const priced: ModelPrices = {
  isSimulated: false,
  currency: 'USD',
  rules: [
    { model: 'm', window: '24h', inputPerMillion: '1', cachedInputPerMillion: null, outputPerMillion: '10' },
  ],
}

function boundOf(models: readonly ModelShare[], prices: ModelPrices | null, window = '24h') {
  return costBound({ models, endpoint: '/v1/chat/completions', window, pricesOf: () => prices })
}

test('the highest cost has every answer at its limit, and is never below what is expected', () => {
  const bound = boundOf([share], priced)
  assert.ok(!('unpriced' in bound))
  // A million tokens in with a quarter on top; a million out, and 2,000 for the line that states no limit.
  assert.equal(decimalOf(bound.highestPicos), '11.27')
  assert.ok(bound.expectedPicos < bound.highestPicos)
})

test('a model without a price in that window leaves the cost unknown; the simulated one costs nothing', () => {
  assert.deepEqual(boundOf([share], null), { unpriced: 'm' })
  assert.deepEqual(boundOf([share], priced, '1h'), { unpriced: 'm' })
  const simulated = boundOf([share], { ...priced, isSimulated: true })
  assert.deepEqual(simulated, { expectedPicos: 0n, highestPicos: 0n })
})
