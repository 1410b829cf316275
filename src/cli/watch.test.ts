import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WireBatch } from '../contract/wire.ts'
import { startWatch, type WatchOptions } from './watch.ts'

class Refused extends Error {}
class Unreachable extends Error {}

function batch(id: string, status: string, completed = 0): WireBatch {
  return { id, status, request_counts: { total: 10, completed, failed: 0 }, expires_at: null } as WireBatch
}

/** A server that answers each look at a batch with the next of its replies. */
function server(replies: Record<string, (WireBatch | Error)[]>): WatchOptions & { changes: number } {
  return {
    changes: 0,
    async getBatch(id) {
      const next = replies[id]?.shift()
      if (next === undefined || next instanceof Error) throw next ?? new Refused(`no batch ${id}`)
      return next
    },
    isPassing: (thrown) => thrown instanceof Unreachable,
    signal: new AbortController().signal,
    onChange() {
      this.changes += 1
    },
    delayMs: () => 0,
  }
}

test('watching ends when every batch has ended, and survives a server that is away', async () => {
  const away = new Unreachable('connect ECONNREFUSED')
  const options = server({
    a: [batch('a', 'validating'), batch('a', 'in_progress', 4), away, away, batch('a', 'completed', 10)],
    b: [away, batch('b', 'expired', 3)],
  })
  const watch = startWatch(['a', 'b', 'a'], options)
  assert.deepEqual(
    watch.views().map((view) => view.status),
    [null, null],
  )
  const watched = await watch.finished
  assert.deepEqual(
    watched.map((one) => (one.kind === 'ended' ? one.batch.status : one.kind)),
    ['completed', 'expired'],
  )
  assert.deepEqual(
    watch.views().map((view) => [view.completed, view.isEnded, view.trouble]),
    [
      [10, true, null],
      [3, true, null],
    ],
  )
})

test('a server that is away shows as such, with the last figures', async () => {
  const seen: (string | null)[] = []
  const options = server({
    a: [batch('a', 'in_progress', 4), new Unreachable('no route.'), batch('a', 'completed', 10)],
  })
  const watch = startWatch(['a'], {
    ...options,
    onChange: () => {
      const [view] = watch.views()
      seen.push(`${view?.completed} ${view?.trouble}`)
    },
  })
  await watch.finished
  assert.deepEqual(seen, ['4 null', '4 no route; asking again', '10 null'])
})

test('a batch that the server does not know is lost, the others go on', async () => {
  const options = server({ a: [], b: [batch('b', 'in_progress'), batch('b', 'completed', 10)] })
  const watched = await startWatch(['a', 'b'], options).finished
  assert.deepEqual(
    watched.map((one) => one.kind),
    ['lost', 'ended'],
  )
})

test('an abort ends the watch at once', async () => {
  const controller = new AbortController()
  const options = server({ a: [batch('a', 'in_progress')] })
  const watch = startWatch(['a'], {
    ...options,
    signal: controller.signal,
    delayMs: () => 1_000_000,
    onChange: () => controller.abort(new Error('stop')),
  })
  await assert.rejects(watch.finished)
})

test('figures of the server are preferred, and figures of our own are made without them', async () => {
  const extras = {
    requests_per_second: 50,
    tokens_per_second: 900,
    eta_at: null,
    state_reason: 'waiting: 401 from x',
  }
  const running = { ...batch('a', 'in_progress', 4), dw: extras } as unknown as WireBatch
  const options = server({ a: [running, batch('a', 'completed', 10)] })
  const seen: unknown[] = []
  const watch = startWatch(['a'], {
    ...options,
    onChange: () => {
      const [view] = watch.views()
      seen.push([view?.requestsPerSecond, view?.tokensPerSecond, view?.reason])
    },
  })
  await watch.finished
  assert.deepEqual(seen[0], [50, 900, 'waiting: 401 from x'])
})
