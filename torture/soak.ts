/** Clients come and go for a long time, something breaks all the while, and the server neither loses anything nor grows. */
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createSeededRandom } from '../src/lib/random.ts'
import { type Fault, faults } from './soak/faults.ts'
import { Footprint, footprintOf } from './soak/footprint.ts'
import { type Suite, type SuiteOptions, Tally } from './suite.ts'
import { World } from './world/world.ts'

const CLIENTS = 4
const CONCURRENCY = 32
/** Long runs have a fault every half minute; short ones have to hurry. */
const FAULT_EVERY_MS = { short: 3_000, long: 30_000 }
const LONG_MINUTES = 5
const SAMPLE_MS = 1_000
/** Longest life of a batch, whatever breaks meanwhile. */
const BATCH_MS_MAX = 300_000
const LOOK_MS = 50
/** What an idle server may have open beyond its first batch: bounded caches of files of blobs, results and the log, and connections. */
const IDLE_FILES_MORE_MAX = 128 + 128 + 3 * 128 + 64
/** How much higher the last third of a long run may be than its first: the noise of a collector. */
const GROWTH = { share: 1.1, mb: 16, files: 16 }

const leak = fileURLToPath(new URL('./soak/leak.ts', import.meta.url))

export const suite: Suite = {
  name: 'soak',
  does: 'mixed batches of several clients with a fault every 30 s: nothing is lost, memory and open files stay flat',
  unit: 'fault',
  short: { cycles: 0, minutes: 0.5 },
  full: { cycles: 0, minutes: 60 },
  defects: { leaks: 'the server keeps a file and some memory for itself, again and again' },
  async run(options) {
    const tally = new Tally(options.say)
    const random = createSeededRandom(options.seed)
    const world = await World.start({
      random,
      tally,
      concurrency: CONCURRENCY,
      answerMs: () => 20 + random.float() * 100,
      ...(options.defect === null ? {} : { prepare: () => ({ NODE_OPTIONS: `--import=${leak}` }) }),
    })
    try {
      await soak(world, tally, options)
    } finally {
      await world.stop()
    }
    return tally.report()
  },
}

async function soak(world: World, tally: Tally, options: SuiteOptions): Promise<void> {
  const minutes = options.minutes ?? 1
  const endAt = performance.now() + minutes * 60_000
  const footprint = new Footprint()
  const isOver = (): boolean => performance.now() > endAt || tally.isFull
  await oneBatch(world)
  const idleFiles = footprintOf(world.server.pid)?.openFiles ?? 0
  const work = Array.from({ length: CLIENTS }, async () => {
    while (!isOver()) await oneBatch(world)
  })
  const watch = (async () => {
    for (; !isOver(); await delay(SAMPLE_MS)) footprint.sample(world.server.pid)
  })()
  const everyMs = minutes < LONG_MINUTES ? FAULT_EVERY_MS.short : FAULT_EVERY_MS.long
  while (!isOver()) {
    await delay(everyMs)
    world.cycle += 1
    await strike(world, tally)
    if (world.cycle % faults.length === 0)
      options.say(`${world.cycle} faults, ${footprint.peakMb.toFixed(0)} MB at most`)
  }
  await Promise.all([...work, watch])
  const quietAt = performance.now()
  await world.settle()
  tally.figures.push(
    `all work at an end ${((performance.now() - quietAt) / 1000).toFixed(1)} s after the last fault`,
  )
  checkFlat({ world, tally, footprint, idleFiles, isLong: minutes >= LONG_MINUTES })
}

/** Each fault in its turn, from a random first one. */
async function strike(world: World, tally: Tally): Promise<void> {
  // The table of faults is not empty.
  const fault = faults[world.cycle % faults.length] as Fault
  await fault.strike(world)
  await world.check()
  tally.survive(fault.name)
}

/** A client's whole errand; where the server is gone it looks again until it is back. */
async function oneBatch(world: World): Promise<void> {
  const fileId = await world.upload(world.newFile(world.between(20, 600), { refuse: 0.02 }))
  const batch = fileId === null ? null : await world.create(fileId, world.random.float() < 0.5 ? '1h' : '24h')
  if (batch === null) {
    await delay(LOOK_MS)
    return
  }
  const isCancelled = world.random.float() < 0.1
  if (isCancelled) {
    await delay(world.random.float() * 300)
    await world.cancel(batch)
  }
  const giveUpAt = performance.now() + BATCH_MS_MAX
  while (!batch.isEnded) {
    if (performance.now() > giveUpAt) {
      world.violate('every batch ends', `${batch.id}: ${JSON.stringify(batch.last)}`)
      return
    }
    await world.look(batch)
    await delay(LOOK_MS)
  }
  // What a fault of the server leaves open is brought to an end with everything else.
  if (await world.finish(batch)) await world.forget(batch)
}

function checkFlat(facts: {
  world: World
  tally: Tally
  footprint: Footprint
  idleFiles: number
  isLong: boolean
}): void {
  const { world, tally, footprint, idleFiles, isLong } = facts
  const [first, last] = [footprint.third(1), footprint.third(3)]
  const openFiles = footprintOf(world.server.pid)?.openFiles ?? Number.NaN
  tally.figures.push(
    `resident memory, median: ${first.residentMb.toFixed(0)} MB in the first third, ${last.residentMb.toFixed(0)} MB in the last, ${footprint.peakMb.toFixed(0)} MB at most`,
    `open files, median: ${first.openFiles} in the first third, ${last.openFiles} in the last; idle ${idleFiles} at the start, ${openFiles} at the end`,
  )
  if (openFiles > idleFiles + IDLE_FILES_MORE_MAX)
    world.violate('open files stay flat', `${openFiles} when idle, ${idleFiles} at the start`)
  if (!isLong) return
  if (last.residentMb > first.residentMb * GROWTH.share + GROWTH.mb)
    world.violate(
      'memory stays flat',
      `${first.residentMb.toFixed(0)} MB became ${last.residentMb.toFixed(0)} MB`,
    )
  if (last.openFiles > first.openFiles + GROWTH.files)
    world.violate('open files stay flat', `${first.openFiles} became ${last.openFiles}`)
}
