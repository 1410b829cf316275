import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WireBatch } from '../contract/wire.ts'
import { copyResults, standingAsRead } from './results.ts'
import type { Sink } from './results-sink.ts'
import { createFailureGroups } from './summary-groups.ts'

function memorySink(): Sink & { text: string } {
  return {
    text: '',
    async write(chunk) {
      this.text += Buffer.from(chunk).toString('utf8')
    },
    async commit() {},
    async abort() {},
  }
}

async function* textBytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

function batch(more: Partial<WireBatch>): WireBatch {
  return {
    id: 'batch_1',
    status: 'completed',
    output_file_id: null,
    error_file_id: null,
    ...more,
  } as WireBatch
}

const expired = '{"custom_id":"x","response":null,"error":{"code":"batch_expired","message":"Late."}}'
const refused =
  '{"custom_id":"y","response":{"status_code":400,"body":{"error":{"message":"No."}}},"error":null}'

test('answers and errors go their ways, and are counted as they were read', async () => {
  const [answers, errors, groups] = [memorySink(), memorySink(), createFailureGroups()]
  const files: Record<string, string> = { out: '{"a":1}\n{"a":2}', err: `${refused}\n${expired}\n` }
  const results = await copyResults(
    batch({
      status: 'expired',
      output_file_id: 'out',
      error_file_id: 'err',
      request_counts: { total: 5, completed: 2, failed: 1 },
    }),
    { read: (id) => textBytes(files[id] ?? ''), answers, errors, groups },
  )
  assert.equal(answers.text, '{"a":1}\n{"a":2}\n')
  assert.equal(errors.text, `${refused}\n${expired}\n`)
  assert.deepEqual(results.read, { succeeded: 2, failed: 1, unanswered: 1 })
  assert.equal(results.missing, 1)
  assert.equal(groups.total, 2)
})

test('lines that the server counted and did not send are missing', async () => {
  const results = await copyResults(
    batch({ output_file_id: 'out', request_counts: { total: 3, completed: 3, failed: 0 } }),
    {
      read: () => textBytes('{}\n{}\n'),
      answers: memorySink(),
      errors: memorySink(),
      groups: createFailureGroups(),
    },
  )
  assert.equal(standingAsRead(results).missing, 1)
})

test('nothing is missing of a batch that still runs', async () => {
  const results = await copyResults(
    batch({
      status: 'in_progress',
      output_file_id: 'out',
      request_counts: { total: 9, completed: 2, failed: 0 },
    }),
    {
      read: () => textBytes('{}\n{}\n'),
      answers: memorySink(),
      errors: memorySink(),
      groups: createFailureGroups(),
    },
  )
  assert.equal(results.missing, 0)
  assert.equal(results.read.succeeded, 2)
})
