import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TroubleError } from '../lib/errors.ts'
import { createCallGate } from './call-gate.ts'

test('calls wait in order, and one too many is turned away', async () => {
  const gate = createCallGate({ openMax: 2, waitingMax: 3_000 })
  const entered: number[] = []
  const calls = Array.from({ length: 3_002 }, (_, number) => gate.enter().then(() => entered.push(number)))
  await assert.rejects(
    gate.enter(),
    (thrown) =>
      thrown instanceof TroubleError && thrown.code === 'unreachable' && /3000 calls/.test(thrown.message),
  )
  await Promise.all(calls.slice(0, 2))
  assert.deepEqual(entered, [0, 1])
  let isIdle = false
  const idle = gate.idle().then(() => {
    isIdle = true
  })
  for (let number = 2; number < calls.length; number += 1) {
    gate.leave()
    await calls[number]
  }
  assert.deepEqual(entered, Array.from(calls.keys()))
  gate.leave()
  await Promise.resolve()
  assert.equal(isIdle, false)
  gate.leave()
  await idle
  await gate.idle()
})
