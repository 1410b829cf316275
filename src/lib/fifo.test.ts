import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fifo } from './fifo.ts'

test('items come out in the order in which they went in, whatever the turns', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer())), (turns) => {
      const queue = new Fifo<number>()
      const model: number[] = []
      for (const turn of turns) {
        if (turn === null) assert.equal(queue.shift(), model.shift())
        else {
          queue.push(turn)
          model.push(turn)
        }
        assert.equal(queue.length, model.length)
      }
    }),
  )
})

test('an item that was taken out can be collected although the queue is never empty', async () => {
  const queue = new Fifo<{ bytes: Uint8Array }>()
  queue.push({ bytes: new Uint8Array(1) })
  const collected = Promise.withResolvers<void>()
  const registry = new FinalizationRegistry(() => collected.resolve())
  const add = (): void => {
    const item = { bytes: new Uint8Array(1) }
    registry.register(item, null)
    queue.push(item)
  }
  add()
  queue.push({ bytes: new Uint8Array(1) })
  queue.shift()
  queue.shift()
  assert.equal(queue.length, 1)
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // A finalizer runs in a turn of the event loop behind a collection.
  const turn = (): void => {
    collect()
    timer = setImmediate(turn)
  }
  let timer = setImmediate(turn)
  await collected.promise
  clearImmediate(timer)
})
