import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Bag, type Slot } from './bag.ts'

test('a bag holds what was added and not yet removed, whatever the order', () => {
  const removals = fc.array(fc.option(fc.nat(), { nil: null }), { maxLength: 200 })
  fc.assert(
    fc.property(removals, (steps) => {
      const bag = new Bag<number>()
      const expected: Slot<number>[] = []
      for (const [number, step] of steps.entries()) {
        const [slot] = step === null ? [] : expected.splice(step % Math.max(1, expected.length), 1)
        if (slot === undefined) expected.push(bag.add(number))
        else bag.remove(slot)
      }
      assert.equal(bag.size, expected.length)
      assert.deepEqual(new Set(bag.items()), new Set(expected.map(({ item }) => item)))
    }),
  )
})
