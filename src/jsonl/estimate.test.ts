import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelShare } from '../domain/file.ts'
import {
  basisOf,
  ESTIMATE_BASIS,
  estimateTokens,
  OUTPUT_PART_OF_LIMIT,
  OUTPUT_TOKENS_PER_LINE,
  OUTPUT_TOKENS_PER_LINE_MAX,
  type TokenHistory,
} from './estimate.ts'

const share: ModelShare = {
  model: 'm',
  lines: 10,
  bodyBytes: 99_999,
  promptBytes: 4_002,
  outputTokensLimit: 0,
  outputTokensLimitLines: 0,
}

test('input is a quarter of the prompt bytes, output a part of the stated limits plus a prior for the other lines', () => {
  const stated = { ...share, outputTokensLimit: 4_000, outputTokensLimitLines: 4 }
  assert.deepEqual(estimateTokens([stated], '/v1/chat/completions'), [
    {
      model: 'm',
      requests: 10,
      inputTokens: 1001,
      outputTokens: 4_000 * OUTPUT_PART_OF_LIMIT + 6 * OUTPUT_TOKENS_PER_LINE,
      cachedTokens: 0,
      low: { inputTokens: 901, outputTokens: 320 },
      high: { inputTokens: 1802, outputTokens: 9_600 },
      restsOn: { input: 'rule', output: 'rule' },
      history: { lines: 0, batches: 0 },
    },
  ])
})

const history: TokenHistory = {
  batches: 3,
  lines: 200,
  promptBytes: 100_000,
  promptTokens: 40_000,
  cachedTokens: 10_000,
  completionTokens: 9_000,
  countedTokens: null,
  isSameTemplate: false,
  inputSpread: 0.02,
  outputSpread: 0.3,
}

test('what earlier batches used comes before the rule: tokens per byte of prompt, and tokens per answer', () => {
  const [learned, other] = estimateTokens(
    [share, { ...share, model: 'n' }],
    '/v1/chat/completions',
    new Map([['m', history]]),
  )
  assert.ok(learned !== undefined && other !== undefined)
  assert.deepEqual([learned.inputTokens, learned.outputTokens, learned.cachedTokens], [1601, 450, 400])
  // Three batches are worth a tenth, unless they lay further apart than that.
  assert.deepEqual(learned.low, { inputTokens: 1441, outputTokens: 315 })
  assert.deepEqual(learned.high, { inputTokens: 1761, outputTokens: 585 })
  assert.equal(other.history.lines, 0)
  assert.match(basisOf([learned]), /^learned from 200 answers of up to 3 earlier batches/)
  assert.match(basisOf([learned, other]), /learned from .*; for the other models input: bytes/)
  assert.equal(basisOf([other]), ESTIMATE_BASIS)
})

test('no answer is expected to be longer than every line allows, and prompts without text are counted by the line', () => {
  const short = { ...share, promptBytes: 0, outputTokensLimit: 100, outputTokensLimitLines: 10 }
  const [estimate] = estimateTokens([short], '/v1/chat/completions', new Map([['m', history]]))
  assert.deepEqual(
    [estimate?.inputTokens, estimate?.outputTokens, estimate?.high.outputTokens],
    [2_000, 100, 100],
  )
})

test('limits far beyond any answer are capped', () => {
  const stated = { ...share, outputTokensLimit: 10 * 128_000, outputTokensLimitLines: 10 }
  assert.equal(estimateTokens([stated], null)[0]?.outputTokens, 10 * OUTPUT_TOKENS_PER_LINE_MAX)
})

test('embeddings and moderations write no tokens; models are estimated one by one', () => {
  for (const endpoint of ['/v1/embeddings', '/v1/moderations'] as const) {
    const estimates = estimateTokens([share, { ...share, model: 'n', promptBytes: 8 }], endpoint)
    assert.deepEqual(
      estimates.map(({ model, inputTokens, outputTokens }) => [model, inputTokens, outputTokens]),
      [
        ['m', 1001, 0],
        ['n', 2, 0],
      ],
    )
  }
})
