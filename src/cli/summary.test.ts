import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WireBatch } from '../contract/wire.ts'
import { nextCommands, type SummaryFacts, summaryLines } from './summary.ts'
import { findingLines } from './summary-findings.ts'

function facts(batch: Partial<WireBatch>, more: Partial<SummaryFacts> = {}): SummaryFacts {
  return {
    batch: {
      id: 'batch_a',
      status: 'completed',
      created_at: 1_000,
      completed_at: 1_130,
      output_file_id: 'file-o',
      error_file_id: null,
      errors: null,
      ...batch,
    } as WireBatch,
    groups: [],
    groupedLines: 0,
    isSimulated: false,
    tokens: null,
    cost: null,
    ...more,
  }
}

test('a clean batch says that all succeeded', () => {
  const clean = facts(
    { request_counts: { total: 300, completed: 300, failed: 0 } },
    { tokens: { input: 12_000, output: 3_400, unknownLines: 0 }, cost: 'no price set' },
  )
  assert.deepEqual(summaryLines(clean), [
    'batch_a: completed, all 300 requests succeeded',
    '  300 succeeded, 0 failed, 0 missing of 300 requests in 2m10s',
    '  tokens: 12,000 in, 3,400 out',
    '  cost: no price set',
  ])
  assert.deepEqual(nextCommands([clean.batch]), [['batches', 'results', 'batch_a', '-o', 'results.jsonl']])
})

test('failures show in the first line, with their kinds and what to do', () => {
  const some = facts(
    { request_counts: { total: 100, completed: 58, failed: 42 }, error_file_id: 'file-e' },
    {
      isSimulated: true,
      groupedLines: 42,
      groups: [
        { status: 400, code: 'content_filter', example: 'Filtered.', count: 30 },
        { status: 429, code: null, example: '', count: 9 },
        { status: null, code: 'a', example: 'b', count: 2 },
        { status: null, code: 'c', example: 'd', count: 1 },
      ],
    },
  )
  assert.deepEqual(summaryLines(some), [
    'batch_a: completed, 42 failed',
    '  58 succeeded, 42 failed, 0 missing of 100 requests in 2m10s',
    '  SIMULATED: no model was called',
    '  why they failed:',
    '    30 × 400 content_filter: Filtered.',
    '     9 × 429',
    '     2 × a: b',
    '     1 × 1 other kind',
  ])
  assert.deepEqual(nextCommands([some.batch]), [
    ['batches', 'results', 'batch_a', '-o', 'results.jsonl'],
    ['batches', 'retry', 'batch_a'],
  ])
})

test('an input that is not valid shows its findings by kind', () => {
  const errors = [4, 9].map((line) => ({ code: 'duplicate_custom_id', message: 'Twice.', param: null, line }))
  const failed = facts({
    status: 'failed',
    output_file_id: null,
    errors: { object: 'list', data: errors },
    request_counts: { total: 0, completed: 0, failed: 0 },
  })
  assert.deepEqual(summaryLines(failed), [
    'batch_a: failed: the input is not valid, nothing was run',
    '  duplicate_custom_id: lines 4, 9: Twice.',
  ])
  assert.deepEqual(nextCommands([failed.batch]), [])
})

test('an expired batch counts what was not run, which is not missing', () => {
  const expired = facts({
    status: 'expired',
    completed_at: null,
    expired_at: 4_600,
    error_file_id: 'file-e',
    request_counts: { total: 10, completed: 6, failed: 1 },
  })
  assert.deepEqual(summaryLines(expired), [
    'batch_a: expired, 1 failed, 3 not run',
    '  6 succeeded, 1 failed, 3 not run, 0 missing of 10 requests in 1h',
  ])
})

test('many findings are cut short, and the cut is named', () => {
  const findings = Array.from({ length: 15 }, (_, number) => ({
    code: 'invalid_json_line',
    message: 'Not JSON.',
    param: null,
    lineNumber: number + 1,
  }))
  assert.deepEqual(findingLines(findings, 40), [
    'invalid_json_line: lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 5 more: Not JSON.',
    '25 more are not listed here',
  ])
  const empty = { code: 'empty_file', message: 'The input file is empty.', param: null, lineNumber: null }
  assert.deepEqual(findingLines([empty], 1), ['empty_file: The input file is empty.'])
})

test('what is missing is told for each parameter', () => {
  const code = 'missing_required_parameter'
  const findings = ['url', 'body', 'url'].map((param, number) => ({
    ...{ code, param, message: `Missing '${param}'.` },
    lineNumber: number + 1,
  }))
  assert.deepEqual(findingLines(findings, 3), [
    `${code}: lines 1, 3: Missing 'url'.`,
    `${code}: line 2: Missing 'body'.`,
  ])
})
