import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverSentEvents } from './server-sent-events.ts'

function bodyOf(bytes: Uint8Array, cuts: readonly number[]): ReadableStream<Uint8Array> {
  const places = [0, ...cuts, bytes.byteLength]
  return new ReadableStream({
    start(controller) {
      for (const [at, from] of places.slice(0, -1).entries())
        controller.enqueue(bytes.subarray(from, places[at + 1]))
      controller.close()
    },
  })
}

async function all(events: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = []
  for await (const event of events) found.push(event)
  return found
}

test('events are the same wherever the bytes are cut, also within a character or a line end', async () => {
  const text =
    ': hello\r\n\r\ndata: {"a":"é€😀"}\r\n\r\nevent: x\ndata:two\ndata: lines\n\ndata:  spaced\r\rdata\n\ndata: last'
  const bytes = Buffer.from(text)
  const wanted = ['{"a":"é€😀"}', 'two\nlines', ' spaced', '', 'last']
  for (let cut = 0; cut <= bytes.byteLength; cut += 1)
    assert.deepEqual(await all(serverSentEvents(bodyOf(bytes, [cut]))), wanted, `cut at ${cut}`)
  const everywhere = Array.from({ length: bytes.byteLength - 1 }, (_, place) => place + 1)
  assert.deepEqual(await all(serverSentEvents(bodyOf(bytes, everywhere))), wanted)
})
