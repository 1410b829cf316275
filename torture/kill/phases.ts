/** What the server is doing when it is killed. Each phase gets there, and returns at the instant of the kill. */
import { setTimeout as delay } from 'node:timers/promises'
import type { KnownBatch } from '../world/ledger.ts'
import type { World } from '../world/world.ts'

export type Phase = { name: string; reach(world: World): Promise<void> }

/** Longest wait for a state that a phase needs; a slow machine only makes the kill come earlier in its life. */
const REACH_MS_MAX = 5_000
const LOOK_MS = 5

export const phases: readonly Phase[] = [
  {
    name: 'uploading',
    reach: (world) => killWithin(world, 60, () => world.upload(world.newFile(world.between(50, 3_000)))),
  },
  {
    name: 'creating',
    async reach(world) {
      const fileId = await world.upload(world.newFile(world.between(1, 300), { refuse: 0.05 }))
      if (fileId !== null) await killWithin(world, 40, () => world.create(fileId))
    },
  },
  {
    name: 'running',
    async reach(world) {
      const batch = await startBatch(world, world.between(100, 800))
      if (batch === null) return
      const share = world.random.float() * batch.file.ids.length
      await until(world, batch, () => answered(batch) >= share)
      await delay(world.random.float() * 20)
    },
  },
  {
    name: 'cancelling',
    async reach(world) {
      const batch = await startBatch(world, world.between(50, 400), { hang: 0.05 })
      if (batch === null) return
      if (world.random.float() < 0.8) await until(world, batch, () => answered(batch) > 0)
      // Beyond the grace of calls in flight, so that the kill also falls into the closing of the rest.
      await killWithin(world, 450, () => world.cancel(batch))
    },
  },
  {
    name: 'finalising',
    async reach(world) {
      const batch = await startBatch(world, world.between(5, 120))
      if (batch === null) return
      await until(world, batch, () => answered(batch) >= batch.file.ids.length * 0.9)
      await delay(world.random.float() * 30)
    },
  },
  {
    name: 'retrying',
    async reach(world) {
      const batch = await startBatch(world, world.between(5, 60), { refuse: 0.5 })
      if (batch === null) return
      await until(world, batch, () => batch.isEnded)
      await world.read(batch)
      if (batch.failedIds.length > 0) await killWithin(world, 60, () => world.retry(batch))
    },
  },
  {
    name: 'deleting results',
    async reach(world) {
      const ended = [...world.batches.values()].find(
        (known) => known.isEnded && known.deleted.size === 0 && known.read.output !== '',
      )
      const batch = ended ?? (await startBatch(world, 20))
      if (batch === null) return
      await until(world, batch, () => batch.isEnded)
      await world.read(batch)
      await killWithin(world, 30, () => world.deleteOutput(batch))
    },
  },
]

/** Starts the act and returns after a random part of `withinMs`, whether the act is over or not. */
async function killWithin(world: World, withinMs: number, act: () => Promise<unknown>): Promise<void> {
  const done = act()
  await Promise.race([done, delay(world.random.float() * withinMs)])
  // The reply may be on its way: it is awaited behind the kill.
  world.inFlightActs.push(done)
}

async function startBatch(
  world: World,
  count: number,
  kinds: { refuse?: number; hang?: number } = { refuse: 0.02 },
): Promise<KnownBatch | null> {
  const fileId = await world.upload(world.newFile(count, kinds))
  return fileId === null ? null : world.create(fileId)
}

async function until(world: World, batch: KnownBatch, isReached: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + REACH_MS_MAX
  while (!isReached() && !batch.isEnded && performance.now() < giveUpAt) {
    if ((await world.look(batch)) === null) return
    await delay(LOOK_MS)
  }
}

function answered(batch: KnownBatch): number {
  const counts = batch.last?.request_counts
  return counts === undefined ? 0 : counts.completed + counts.failed
}
