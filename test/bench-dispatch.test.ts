import assert from 'node:assert/strict'
import { test } from 'node:test'
import { benchDispatch } from '../bench/dispatch.ts'

/** Enough to pass through every phase, too few to say anything about speed. */
const SMOKE_REQUESTS = 1_000

test('the benchmark of dispatch runs at a small size and measures every figure', async () => {
  const measured = await benchDispatch({ requests: SMOKE_REQUESTS, say: () => undefined })
  assert.equal(measured.requests, SMOKE_REQUESTS)
  assert.equal(measured.upstreamCallsPerRequest, 1)
  for (const [figure, value] of Object.entries(measured)) assert.ok(value > 0, `${figure} is ${value}`)
})
