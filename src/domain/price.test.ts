import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { costPicos, decimalOf, isPrice, type Price, picosOf, priceOf } from './price.ts'

const rule = {
  model: 'large',
  window: '24h',
  inputPerMillion: '0.15',
  cachedInputPerMillion: '0.075',
  outputPerMillion: '0.6',
}

const million = { promptTokens: 1_000_000, cachedTokens: 0, completionTokens: 1_000_000 }

function required(price: Price | null): Price {
  assert.ok(price !== null)
  return price
}

test('a million tokens cost exactly what the price of a million says', () => {
  const price = required(priceOf([rule], 'large', '24h'))
  assert.equal(decimalOf(costPicos(price, million)), '0.75')
  assert.equal(decimalOf(costPicos(price, { ...million, cachedTokens: 1_000_000 })), '0.675')
  assert.equal(
    decimalOf(costPicos(price, { promptTokens: 1, cachedTokens: 0, completionTokens: 0 })),
    '0.00000015',
  )
})

test('a model has no price in a window for which none is set, whatever its price in another', () => {
  assert.equal(priceOf([rule], 'large', '1h'), null)
  assert.equal(priceOf([rule], 'larger', '24h'), null)
  assert.equal(priceOf([], 'large', '24h'), null)
})

test('the simulated model is never priced, even when the configuration names it', () => {
  assert.equal(priceOf([{ ...rule, model: 'sim/echo' }], 'sim/echo', '24h'), null)
})

test('cached input costs the same as other input while it has no price of its own', () => {
  const price = required(priceOf([{ ...rule, cachedInputPerMillion: null }], 'large', '24h'))
  assert.equal(costPicos(price, million), costPicos(price, { ...million, cachedTokens: 400_000 }))
})

test('an engine that states more cached tokens than prompt tokens lowers the cost no further than a full cache', () => {
  const price = required(priceOf([rule], 'large', '24h'))
  const full = { promptTokens: 10, cachedTokens: 10, completionTokens: 0 }
  assert.equal(costPicos(price, { ...full, cachedTokens: 1_000 }), costPicos(price, full))
})

test('a price that is no decimal text is never rounded or taken for zero', () => {
  for (const text of ['', 'free', '-1', '1,5', '1e3', '0.0000001', '.5', '5.', ' 1', '٣']) {
    assert.equal(isPrice(text), false, text)
  }
  assert.throws(
    () => priceOf([{ ...rule, inputPerMillion: '0.0000001' }], 'large', '24h'),
    /checked at the start/,
  )
})

const amount = fc
  .tuple(fc.bigInt({ min: 0n, max: 10n ** 12n - 1n }), fc.bigInt({ min: 0n, max: 10n ** 6n - 1n }))
  .map(([units, millionths]) => `${units}.${millionths.toString().padStart(6, '0')}`)

test('an amount read from its text is written as the same amount', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 24n - 1n }), (picos) => {
      assert.equal(picosOf(decimalOf(picos)), picos)
      assert.match(decimalOf(picos), /^\d+\.\d{2,12}$/)
    }),
  )
})

test('the cost of many requests is the sum of their costs, to the last digit', () => {
  const requests = fc.array(
    fc
      .tuple(fc.nat(2_000_000_000), fc.nat(2_000_000_000), fc.nat(2_000_000_000))
      .map(([fresh, cachedTokens, completionTokens]) => ({
        promptTokens: fresh + cachedTokens,
        cachedTokens,
        completionTokens,
      })),
    { maxLength: 50 },
  )
  fc.assert(
    fc.property(amount, amount, amount, requests, (input, cached, output, all) => {
      const price = required(
        priceOf(
          [{ ...rule, inputPerMillion: input, cachedInputPerMillion: cached, outputPerMillion: output }],
          'large',
          '24h',
        ),
      )
      const total = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 }
      let sum = 0n
      for (const tokens of all) {
        sum += costPicos(price, tokens)
        total.promptTokens += tokens.promptTokens
        total.cachedTokens += tokens.cachedTokens
        total.completionTokens += tokens.completionTokens
      }
      assert.equal(costPicos(price, total), sum)
    }),
  )
})
