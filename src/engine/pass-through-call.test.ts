import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { PASS_THROUGH_BUFFER_BYTES } from '../domain/limits.ts'
import type { AnswerHead } from './pass-through-call.ts'
import { PassThroughCall } from './pass-through-call.ts'
import type { CallEnd } from './upstream-connection.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

/** A call in the middle of its answer, and what the connection was told to do. */
function start(headers: Record<string, string> = JSON_TYPE, status = 200) {
  const steps: string[] = []
  const ends: CallEnd[] = []
  let head: AnswerHead | null = null
  let now = 0
  const controller = {
    aborted: false,
    paused: false,
    reason: null,
    pause: () => void steps.push('pause'),
    resume: () => void steps.push('resume'),
    abort(reason: Error) {
      steps.push('abort')
      call.onResponseError(controller, reason)
    },
  }
  const call = new PassThroughCall({ answerBytesMax: 100, monotonicMs: () => now }, (end) => ends.push(end), {
    onHead: (arrived) => {
      head = arrived
    },
    onEnding: (failure) => void steps.push(`ending: ${failure ?? 'well'}`),
  })
  call.onRequestStart(controller)
  call.onResponseStart(controller, status, headers)
  const body = (): Readable => (head as AnswerHead | null)?.body ?? assert.fail('the answer is not handed on')
  return {
    call,
    controller,
    steps,
    ends,
    body,
    head: () => head as AnswerHead | null,
    at: (ms: number) => {
      now = ms
    },
  }
}

test('a reader who does not read holds the engine back, which is not taken for silence', async () => {
  const { call, controller, steps, ends, body, at } = start()
  call.onResponseData(controller, Buffer.alloc(PASS_THROUGH_BUFFER_BYTES - 1, 'a'))
  assert.deepEqual(steps, [])
  call.onResponseData(controller, Buffer.from('b'))
  assert.deepEqual(steps, ['pause'])
  at(500_000)
  assert.equal(call.lastByteAt, 500_000)
  const read = body().toArray()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(steps, ['pause', 'resume'])
  at(600_000)
  assert.equal(call.lastByteAt, 500_000)
  call.onResponseEnd()
  assert.equal(Buffer.concat(await read).byteLength, PASS_THROUGH_BUFFER_BYTES)
  const [end] = ends
  assert.ok(end !== undefined && 'answer' in end && end.answer.isHandedOn === true)
})

test('a reader who goes away cuts the call once', () => {
  const { call, controller, steps, ends, body } = start()
  body().on('error', () => assert.fail('nobody asked for the error of a call that was given up'))
  call.onResponseData(controller, Buffer.from('a'))
  body().destroy()
  assert.deepEqual(steps, ['abort', 'ending: cut'])
  assert.deepEqual(ends, [{ failure: 'cut', message: 'the caller hung up' }])
})

test('the reader of an answer that breaks off gets an error, never its end', async () => {
  const { call, controller, ends, body } = start()
  const read = body().toArray()
  call.onResponseData(controller, Buffer.from('half'))
  call.onResponseError(controller, new Error('broken'))
  await assert.rejects(read, /broken/)
  assert.deepEqual(ends, [{ failure: 'reset', message: 'broken' }])
})

test('an answer may break before anybody listens to it', async () => {
  const { call, controller, body } = start()
  call.onResponseError(controller, new Error('broken'))
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(body().toArray(), /broken/)
})

test('what is no success, or a web page, is kept whole and bounded', () => {
  for (const [headers, status] of [
    [JSON_TYPE, 400],
    [{ 'content-type': 'text/html; charset=utf-8' }, 200],
  ] as const) {
    const { call, controller, ends, head } = start(headers, status)
    assert.equal(head()?.body, null)
    call.onResponseData(controller, Buffer.from('ab'))
    call.onResponseEnd()
    const [end] = ends
    assert.ok(end !== undefined && 'answer' in end)
    assert.equal(end.answer.body.toString(), 'ab')
    assert.equal(end.answer.isHandedOn, undefined)
  }
  const { call, controller, ends } = start(JSON_TYPE, 500)
  call.onResponseData(controller, Buffer.alloc(101))
  assert.deepEqual(ends, [{ failure: 'answer_too_large', message: 'answer exceeds 100 bytes' }])
})
