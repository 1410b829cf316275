import assert from 'node:assert/strict'
import { test } from 'node:test'
import { givenMaterial, skipWithout } from '../../test/kit/given-material.ts'
import { readWireSchema } from '../../test/kit/wire-schema.ts'
import { type Batch, emptyTally } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import { presentBatch, presentError, presentFile, presentList } from './present.ts'

const created: Batch = {
  id: 'batch_a',
  seq: 1,
  tenantId: 'local',
  inputFileId: 'file-in',
  endpoint: '/v1/chat/completions',
  window: '24h',
  status: 'validating',
  endsAs: null,
  outputFileId: null,
  errorFileId: null,
  outputFileIdReserved: 'file-out',
  errorFileIdReserved: 'file-err',
  createdAt: 1_700_000_000_999,
  inProgressAt: null,
  expiresAt: 1_700_086_400_999,
  finalizingAt: null,
  completedAt: null,
  failedAt: null,
  expiredAt: null,
  cancellingAt: null,
  cancelledAt: null,
  linesTotal: 0,
  tally: emptyTally,
  metadata: null,
  outputExpiresAfterSeconds: null,
  findings: [],
  findingsTotal: 0,
  model: null,
  retryOf: null,
  haltReason: null,
  keyId: null,
}

const ended: Batch = {
  ...created,
  status: 'completed',
  outputFileId: 'file-out',
  errorFileId: 'file-err',
  inProgressAt: 1_700_000_001_000,
  finalizingAt: 1_700_000_002_000,
  completedAt: 1_700_000_003_000,
  linesTotal: 10,
  tally: {
    ...emptyTally,
    completed: 7,
    failed: 3,
    promptTokens: 100,
    cachedTokens: 40,
    completionTokens: 50,
    reasoningTokens: 20,
  },
  metadata: { project: 'evals' },
  model: 'm',
}

const failed: Batch = {
  ...created,
  status: 'failed',
  failedAt: 1_700_000_001_000,
  findings: [{ code: 'invalid_json_line', message: 'no', param: null, lineNumber: 3 }],
  findingsTotal: 250,
}

const input: StoredFile = {
  id: 'file-in',
  tenantId: 'local',
  filename: 'a.jsonl',
  purpose: 'batch',
  createdAt: 1_700_000_000_999,
  expiresAt: null,
  deletedAt: null,
  kind: 'input',
  bytes: 12,
  extents: [],
  inspection: null,
  batchId: null,
}

/** In OpenAI's order, and our own behind. */
const KEYS = [
  'id object endpoint model errors input_file_id completion_window status output_file_id error_file_id',
  'created_at in_progress_at expires_at finalizing_at completed_at failed_at expired_at cancelling_at cancelled_at',
  'request_counts usage metadata dw',
]
  .join(' ')
  .split(' ')

test('a batch has all its keys at any time, in one order', () => {
  assert.equal(KEYS.length, 23)
  for (const batch of [created, ended, failed])
    assert.deepEqual(Object.keys(presentBatch(batch, null, batch.createdAt)), KEYS)
})

test('instants are whole seconds, rounded down', () => {
  const wire = presentBatch(created, null, 0)
  assert.equal(wire.created_at, 1_700_000_000)
  assert.equal(wire.expires_at, 1_700_086_400)
  assert.equal(presentFile({ ...input, expiresAt: 1_700_003_600_999 }).expires_at, 1_700_003_600)
})

test('tokens have the names that OpenAI gives them for every endpoint', () => {
  assert.deepEqual(presentBatch(ended, null, 0).usage, {
    input_tokens: 100,
    input_tokens_details: { cached_tokens: 40 },
    output_tokens: 50,
    output_tokens_details: { reasoning_tokens: 20 },
    total_tokens: 150,
  })
})

test('expired and cancelled lines count as neither completed nor failed', () => {
  const tally = { ...emptyTally, completed: 4, expired: 3, cancelled: 1 }
  const wire = presentBatch({ ...ended, linesTotal: 8, tally }, null, 0)
  assert.deepEqual(wire.request_counts, { total: 8, completed: 4, failed: 0 })
  assert.deepEqual(wire.dw.counts, { expired: 3, cancelled: 1 })
})

test('a batch that did not validate shows its first findings and how many there are', () => {
  const wire = presentBatch(failed, null, 0)
  assert.deepEqual(wire.errors, {
    object: 'list',
    data: [{ code: 'invalid_json_line', message: 'no', param: null, line: 3 }],
  })
  assert.equal(wire.dw.findings_total, 250)
})

test('what is known only of a live batch is shown while it lives', () => {
  const live = {
    reason: 'waiting: 401',
    inFlight: 3,
    requestsPerSecond: 1.23456,
    tokensPerSecond: null,
    etaAt: 9_999,
  }
  const running: Batch = { ...created, status: 'in_progress' }
  const { dw } = presentBatch(running, live, running.expiresAt + 1)
  assert.deepEqual(
    [dw.state_reason, dw.in_flight, dw.requests_per_second, dw.tokens_per_second, dw.eta_at, dw.is_late],
    ['waiting: 401', 3, 1.23, null, 9, true],
  )
  assert.equal(presentBatch(running, live, running.expiresAt - 1).dw.is_late, false)
  const gone = presentBatch(ended, null, ended.expiresAt + 1).dw
  assert.deepEqual([gone.state_reason, gone.in_flight, gone.eta_at, gone.is_late], [null, 0, null, false])
  assert.equal(presentBatch({ ...running, haltReason: 'damaged' }, live, 0).dw.state_reason, 'damaged')
})

test('an empty page names no ids', () => {
  assert.deepEqual(presentList([], false), {
    object: 'list',
    data: [],
    first_id: null,
    last_id: null,
    has_more: false,
  })
  const page = presentList([{ id: 'a' }, { id: 'b' }], true)
  assert.deepEqual([page.first_id, page.last_id, page.has_more], ['a', 'b', true])
})

test('what is presented fits the published schema', { skip: skipWithout(givenMaterial.schema) }, () => {
  const schema = readWireSchema(givenMaterial.schema)
  const samples: [string, unknown][] = [
    ...[created, ended, failed].map((batch): [string, unknown] => [
      'BatchWire',
      presentBatch(batch, null, 0),
    ]),
    ['OpenAIFileWire', presentFile(input)],
    ['OpenAIFileWire', presentFile({ ...input, purpose: 'batch_output', expiresAt: 1_700_003_600_000 })],
    ['ListFilesResponseWire', presentList([presentFile(input)], false)],
    ['ListBatchesResponseWire', presentList([presentBatch(ended, null, 0)], true)],
    ['ListBatchesResponseWire', presentList([], false)],
    ['ErrorResponse', presentError({ message: 'no', type: 'server_error', param: null, code: null })],
  ]
  for (const [definition, value] of samples) assert.deepEqual(schema.problems(definition, value), [])
})
