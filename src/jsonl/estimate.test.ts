import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelShare } from '../domain/file.ts'
import {
  estimateTokens,
  OUTPUT_PART_OF_LIMIT,
  OUTPUT_TOKENS_PER_LINE,
  OUTPUT_TOKENS_PER_LINE_MAX,
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
    },
  ])
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
