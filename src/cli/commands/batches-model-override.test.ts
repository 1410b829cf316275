import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { overrideModel } from './batches-model-override.ts'

async function overridden(text: string, model: string, cut = 7): Promise<string> {
  const bytes = Buffer.from(text)
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.byteLength; at += cut) yield bytes.subarray(at, at + cut)
  }
  const parts: Buffer[] = []
  for await (const part of overrideModel(chunks(), model)) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

const body = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()).map((members) => {
  const { model: _, ...others } = members
  return others
})

test('a parsed line differs in its model alone, and all other bytes stay', async () => {
  const line = fc.record({
    custom_id: fc.string({ unit: 'grapheme' }),
    model: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
    body,
    isModelFirst: fc.boolean(),
    space: fc.constantFrom('', ' '),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 5 }),
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 1, max: 300 }),
      fc.constantFrom('\n', '\r\n', '\n\n'),
      fc.boolean(),
      async (drawn, model, cut, lineEnd, endsInNewline) => {
        const bodies = drawn.map(({ model: own, body: members, isModelFirst }) => {
          if (own === undefined) return members
          return isModelFirst ? { model: own, ...members } : { ...members, model: own }
        })
        const lines = drawn.map(({ custom_id, space }, number) =>
          JSON.stringify(
            { custom_id, method: 'POST', url: '/v1/chat/completions', body: bodies[number] },
            null,
            space,
          ).replaceAll('\n', ''),
        )
        const text = lines.join(lineEnd) + (endsInNewline ? lineEnd : '')
        const result = await overridden(text, model, cut)
        const resultLines = result.split(lineEnd)
        assert.equal(resultLines.length, text.split(lineEnd).length)
        for (const [number, before] of lines.entries()) {
          const after = resultLines[number] ?? ''
          const expected = JSON.parse(before)
          expected.body.model = model
          assert.deepEqual(JSON.parse(after), expected)
          const own = drawn[number]?.model
          const grown =
            Buffer.byteLength(JSON.stringify(model)) -
            (own === undefined ? 0 : Buffer.byteLength(JSON.stringify(own)))
          const insertedBytes =
            own === undefined ? '"model":'.length + (Object.keys(bodies[number] ?? {}).length > 0 ? 1 : 0) : 0
          assert.equal(Buffer.byteLength(after) - Buffer.byteLength(before), grown + insertedBytes)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('only the token changes: spacing, number spelling and key order stay', async () => {
  const line =
    '{ "body" : {"temperature":1.0e0, "model" :  "a" ,"x":[{"model":"inner"}]},"custom_id":"model" }\n'
  assert.equal(await overridden(line, 'b/c'), line.replace('"a"', '"b/c"'))
})

test('the model that counts is replaced when a key is repeated or spelt with escapes', async () => {
  const repeated = '{"body":{"model":"a","model":"b"}}'
  assert.deepEqual(JSON.parse(await overridden(repeated, 'new')), { body: { model: 'new' } })
  const escaped = '{"b\\u006fdy":{"mod\\u0065l":"a"}}'
  assert.deepEqual(JSON.parse(await overridden(escaped, 'new')), { body: { model: 'new' } })
})

test('blank lines and a missing last newline stay as they are', async () => {
  const text = '\n{"body":{"model":"a"}}\r\n  \n{"body":{}}'
  assert.equal(await overridden(text, 'b'), '\n{"body":{"model":"b"}}\r\n  \n{"body":{"model":"b"}}')
})
