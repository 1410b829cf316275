import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findPath, latin1Of, setPath, utf8Of } from './splice.ts'

const seed = Number(process.env.DW_FUZZ_SEED ?? 20_250)

test('whatever the line, the value at the path becomes the new one and all others stay', () => {
  const line = fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 })
  fc.assert(
    fc.property(
      line,
      fc.string({ maxLength: 4 }),
      fc.jsonValue({ maxDepth: 2 }),
      fc.nat(2),
      (given, name, value, space) => {
        fc.pre(name !== '__proto__' && !('__proto__' in given))
        const text = latin1Of(JSON.stringify(given, null, space))
        const edited = setPath(text, [name], latin1Of(JSON.stringify(value)))
        assert.deepEqual(JSON.parse(utf8Of(edited)), JSON.parse(JSON.stringify({ ...given, [name]: value })))
        const found = findPath(edited, [name])
        assert.ok(found !== null)
        assert.deepEqual(
          JSON.parse(utf8Of(edited.slice(found.start, found.end))),
          JSON.parse(JSON.stringify(value)),
        )
      },
    ),
    { seed, numRuns: 500 },
  )
})
