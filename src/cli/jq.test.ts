import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFilter } from './jq.ts'

async function filtered(
  expression: string,
  feed: (filter: Awaited<ReturnType<typeof createFilter>>) => unknown,
): Promise<string> {
  let out = ''
  const filter = await createFilter(expression, async (text) => {
    out += text
  })
  await feed(filter)
  await filter.end()
  return out
}

test('lines give the same, wherever they are cut', async () => {
  const text = Buffer.from(
    Array.from({ length: 50 }, (_, number) => `{"n":${number},"text":"é漢👩‍💻\\n"}\n`).join('') +
      '{"n":50,"text":"last"}',
  )
  const wanted = Array.from({ length: 51 }, (_, number) => `${number}\n`).join('')
  for (const size of [1, 7, 64, text.byteLength]) {
    const found = await filtered('select(.text != null) | .n', async (filter) => {
      for (let at = 0; at < text.byteLength; at += size) await filter.bytes(text.subarray(at, at + size))
    })
    assert.equal(found, wanted, `pieces of ${size}`)
  }
})

test('objects that come one at a time are shown one at a time, however many there are', async () => {
  let shown = 0
  const filter = await createFilter('.n', async () => {
    shown += 1
  })
  for (let number = 0; number < 250; number += 1) {
    filter.add(`{"n":${number}}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await filter.end()
  assert.ok(shown > 200, `${shown} times`)
})

test('a line of some megabytes passes, with every digit of a number and every character', async () => {
  const long = 'x'.repeat(4_000_000)
  const found = await filtered('.big, (.text | length)', (filter) =>
    filter.bytes(Buffer.from(`{"big":100000000000000000001,"text":"${long}"}\n`)),
  )
  assert.equal(found, `100000000000000000001\n${long.length}\n`)
})

test('an object that does not fit fails the whole, and those beside it are shown', async () => {
  let out = ''
  const filter = await createFilter('.a.b', async (text) => {
    out += text
  })
  for (const json of ['{"a":{"b":1}}', '{"a":"no"}', '{"a":{"b":2}}']) filter.add(json)
  await assert.rejects(filter.end(), /Cannot index string/)
  assert.equal(out, '1\n2\n')
})
