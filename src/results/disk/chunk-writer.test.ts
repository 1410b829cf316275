import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyTally } from '../../domain/batch.ts'
import type { LineRecord } from '../record.ts'
import { ChunkWriter } from './chunk-writer.ts'

const line = '{"id":"a"}'
const record: LineRecord = {
  lineIndex: 0,
  outcome: 'succeeded',
  position: 0,
  lineBytes: line.length + 1,
  httpStatus: 200,
  attempts: 1,
  startedAt: 1,
  recordedAt: 2,
  upstreamMs: 1,
  firstByteMs: 1,
  usage: null,
  upstreamNumber: 0,
}

/** A writer whose chunks become durable when the test says so. */
function openWriter() {
  const sends: (() => void)[] = []
  const durable: number[] = []
  const writer = new ChunkWriter({
    monotonicMs: () => performance.now(),
    send: (chunk) => new Promise((resolve) => sends.push(() => resolve({ chunk, syncedAt: 0 }))),
    onDurable: ({ tallies }) => durable.push(tallies.size),
  })
  const append = (): void => writer.append(1, record, { ...emptyTally }, [line])
  return { writer, sends, durable, append }
}

test('who waits while the last chunk is being synced is told when it is durable', async () => {
  const { writer, sends, durable, append } = openWriter()
  append()
  const first = writer.drained()
  assert.equal(sends.length, 1)
  const second = writer.drained()
  sends[0]?.()
  await Promise.all([first, second])
  assert.deepEqual([durable.length, writer.oldestAt], [1, null])
})

test('who waits for lines that gather behind a sync is told after the next one', async () => {
  const { writer, sends, durable, append } = openWriter()
  append()
  const first = writer.drained()
  append()
  let isDone = false
  const second = writer.drained().then(() => {
    isDone = true
  })
  sends[0]?.()
  await first
  assert.deepEqual([isDone, sends.length, durable.length], [false, 2, 1])
  sends[1]?.()
  await second
  assert.equal(durable.length, 2)
})
