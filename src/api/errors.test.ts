import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BugError, RefusedError, type TroubleCode, TroubleError } from '../lib/errors.ts'
import { errorReply } from './errors.ts'

const SECRET = 'the path /srv/dw/dw.sqlite and more'

test('trouble is told without internals and says when to come back', () => {
  const codes: [TroubleCode, number, string][] = [
    ['disk_full', 507, 'insufficient_storage'],
    ['disk_failed', 503, 'service_unavailable'],
    ['unreachable', 503, 'service_unavailable'],
    ['interrupted', 503, 'service_unavailable'],
    ['damaged', 503, 'service_unavailable'],
    ['unsupported', 503, 'service_unavailable'],
    ['stopped', 503, 'service_unavailable'],
  ]
  for (const [code, status, wireCode] of codes) {
    const reply = errorReply(new TroubleError(code, SECRET))
    assert.deepEqual([reply.status, reply.body.error.code, reply.isOurs], [status, wireCode, true])
    assert.equal(reply.body.error.type, 'server_error')
    const seconds = Number(reply.headers['retry-after'])
    assert.ok(seconds >= 1 && seconds <= 60)
    assert.doesNotMatch(reply.body.error.message, /dw\.sqlite/)
  }
})

test('a bug is a server error that tells nothing', () => {
  for (const thrown of [
    new BugError(SECRET),
    new Error(SECRET),
    SECRET,
    null,
    undefined,
    { statusCode: 404 },
  ]) {
    const reply = errorReply(thrown)
    assert.deepEqual([reply.status, reply.isOurs, reply.body.error.type], [500, true, 'server_error'])
    assert.doesNotMatch(JSON.stringify(reply.body), /dw\.sqlite/)
  }
})

test('SDKs are told not to repeat a conflict, and when to repeat a refusal for rate', () => {
  const conflict = errorReply(new RefusedError('batch_ended', 'no', { status: 409 }))
  assert.equal(conflict.headers['x-should-retry'], 'false')
  assert.equal(conflict.body.error.code, null)
  const busy = errorReply(new RefusedError('too_many_uploads', 'no', { status: 429 }))
  assert.ok(Number(busy.headers['retry-after']) >= 1)
  assert.equal(errorReply(new RefusedError('invalid_value', 'no')).headers['x-should-retry'], undefined)
})

test('what the framework refuses is the fault of the caller', () => {
  const coded = (code: string, statusCode = 413): Error => Object.assign(new Error('x'), { code, statusCode })
  const cases: [Error, string][] = [
    [coded('FST_ERR_CTP_BODY_TOO_LARGE'), 'body_too_large'],
    [coded('FST_PROTO_VIOLATION', 400), 'invalid_request'],
  ]
  for (const [thrown, code] of cases) {
    const reply = errorReply(thrown)
    assert.deepEqual([reply.status, reply.body.error.code, reply.isOurs], [400, code, false], thrown.message)
  }
  assert.equal(errorReply(coded('FST_ERR_SOMETHING', 500)).status, 500)
})
