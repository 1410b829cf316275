import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { after, before, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { openRig, type Rig, TENANT } from '../../test/kit/service-rig.ts'
import { newBitmap, setBit } from '../lib/bitmap.ts'
import { Lane } from './lane.ts'
import { createLineReader } from './line-reader.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig.close())

type Options = { count: number; content?: string; recorded?: number[] }

/** A lane over a real file; `load` resolves when the lines that were read ahead are ready. */
async function openLane(options: Options) {
  const { count, content } = options
  const lines = Array.from({ length: count }, (_, number) =>
    chatLine(number, { model: 'm', ...(content === undefined ? {} : { content }) }),
  )
  const file = await rig.upload(jsonl(lines))
  const recorded = newBitmap(count)
  for (const lineIndex of options.recorded ?? []) setBit(recorded, lineIndex)
  const events = new EventEmitter()
  const lane = new Lane({
    batchId: 'batch_1',
    tenantId: TENANT,
    seq: 1,
    deadlineAt: 0,
    model: 'm',
    places: { from: 0, to: count },
    hasPlan: false,
    recorded,
    reader: createLineReader(rig.blobs, file),
    clock: rig.clock,
    onReady: () => events.emit('ready'),
    onTrouble: (cause) => events.emit('trouble', cause),
  })
  const load = async (): Promise<void> => {
    const ready = once(events, 'ready')
    lane.load()
    await ready
  }
  const takeAll = (): number[] => {
    const taken: number[] = []
    while (lane.isReady) taken.push(lane.take({ prefersFresh: false }).lineIndex)
    return taken
  }
  return { lane, events, load, takeAll, file }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at)

test('a lane hands out each of its lines once, in order, a window at a time', async () => {
  const { lane, load, takeAll } = await openLane({ count: 300 })
  const taken: number[] = []
  while (!lane.isExhausted) {
    assert.ok(lane.canLoad)
    await load()
    taken.push(...takeAll())
  }
  assert.deepEqual(taken, range(0, 300))
  assert.equal(lane.canLoad, false)
})

test('lines that have their record are passed over, also whole windows of them', async () => {
  const { lane, load, takeAll } = await openLane({ count: 200, recorded: [...range(0, 150), 199] })
  await load()
  const taken = takeAll()
  while (!lane.isExhausted) {
    await load()
    taken.push(...takeAll())
  }
  assert.deepEqual(taken, range(150, 199))
  assert.equal(lane.linesLeft, 49)
})

test('long lines are read in smaller pieces, and recorded ones among them are counted off once', async () => {
  const content = 'x'.repeat(30_000)
  const { lane, load, takeAll } = await openLane({ count: 20, content, recorded: [16, 17, 18, 19] })
  await load()
  const first = takeAll()
  assert.ok(first.length < 16, 'one window does not hold all lines')
  const taken = [...first]
  while (!lane.isExhausted) {
    await load()
    taken.push(...takeAll())
  }
  assert.deepEqual(taken, range(0, 16))
  assert.equal(lane.linesLeft, 16)
})

test('a line that came back goes first, except on a trial, which takes one that never failed', async () => {
  const { lane, load } = await openLane({ count: 3 })
  await load()
  const first = lane.take({ prefersFresh: false })
  lane.putBack(first, 0)
  assert.equal(lane.take({ prefersFresh: true }).lineIndex, 1)
  assert.equal(lane.take({ prefersFresh: false }), first)
  lane.putBack(first, 0)
  assert.equal(lane.take({ prefersFresh: true }).lineIndex, 2)
  assert.equal(lane.take({ prefersFresh: true }), first)
})

test('a line that waits for its next attempt is ready when its delay is over, and keeps the lane from being exhausted', async () => {
  const { lane, load } = await openLane({ count: 1 })
  await load()
  const request = lane.take({ prefersFresh: false })
  lane.putBack(request, 100)
  assert.deepEqual([lane.isReady, lane.isExhausted], [false, false])
  rig.clock.advance(99)
  assert.equal(lane.isReady, false)
  rig.clock.advance(1)
  assert.equal(lane.take({ prefersFresh: false }), request)
  assert.equal(lane.isExhausted, true)
})

test('a closed lane lets go of its lines and timers, takes nothing back and loads nothing', async () => {
  const { lane, load } = await openLane({ count: 200 })
  await load()
  const timers = rig.clock.waiting().length
  const request = lane.take({ prefersFresh: false })
  lane.putBack(request, 100)
  assert.equal(rig.clock.waiting().length, timers + 1)
  lane.close()
  lane.putBack(request, 0)
  assert.equal(rig.clock.waiting().length, timers)
  assert.deepEqual([lane.isReady, lane.canLoad], [false, false])
})

test('input bytes that are gone are told as trouble', async () => {
  const { lane, events, file } = await openLane({ count: 2 })
  for (const { blob } of file.extents) await rig.blobs.remove(blob)
  const trouble = once(events, 'trouble')
  lane.load()
  assert.match(String((await trouble)[0]), /file-/)
  assert.deepEqual([lane.isReady, lane.isLoading], [false, false])
})
