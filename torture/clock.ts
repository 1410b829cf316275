/** Wall clocks that jump, stand still and race, also across a restart, and a process that is stopped for a while. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { randomOfCycle, type Suite, type SuiteOptions, Tally } from './suite.ts'
import type { KnownBatch } from './world/ledger.ts'
import { World } from './world/world.ts'

const SECOND_MS = 1_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Short enough to wait for, long enough that a jump of an hour would show. */
const WINDOW_MS = 6 * SECOND_MS
/** How far from its deadline a batch may expire. */
const OFF_MS_MAX = SECOND_MS
/** Instants of the wire are whole seconds, rounded down; and a look at the batch takes its time on a busy machine. */
const LOOK_SLACK_MS = 1_500
const LOOK_MS = 20
const AT_ONCE = 4
const BEGIN_ATTEMPTS_MAX = 5

type Wall = { addMs: number; rate: number }
type Case = {
  name: string
  wall?: Wall
  /** The process is stopped for that long, then goes on. */
  stopMs?: number
  restart?: boolean
  /** Server time follows the wall clock at a restart: by how much the deadline is nearer then. */
  followsMs?: number
}

const jumps = [HOUR_MS, -HOUR_MS, DAY_MS, -DAY_MS]
const cases: readonly Case[] = [
  ...jumps.map((addMs) => ({ name: `wall clock jumps by ${addMs / HOUR_MS} h`, wall: { addMs, rate: 1 } })),
  { name: 'wall clock stands still', wall: { addMs: 0, rate: 0 } },
  { name: 'wall clock runs ten times as fast', wall: { addMs: 0, rate: 10 } },
  { name: 'wall clock runs backwards', wall: { addMs: 0, rate: -1 } },
  { name: 'process stopped for 2 s', stopMs: 2_000 },
  { name: 'process stopped beyond the deadline', stopMs: WINDOW_MS },
  { name: 'restart after a jump of -1 h', wall: { addMs: -HOUR_MS, rate: 1 }, restart: true },
  { name: 'restart after a jump of -24 h', wall: { addMs: -DAY_MS, rate: 1 }, restart: true },
  {
    name: 'restart after a jump of +1 h',
    wall: { addMs: HOUR_MS, rate: 1 },
    restart: true,
    followsMs: HOUR_MS,
  },
]

const preload = fileURLToPath(new URL('./clock/wall-clock.ts', import.meta.url))

export const suite: Suite = {
  name: 'clock',
  does: 'the wall clock jumps, freezes, races and runs backwards: batches expire at their server time',
  unit: 'case',
  short: { cycles: cases.length, minutes: null },
  full: { cycles: cases.length, minutes: null },
  defects: { 'follows-the-wall-clock': 'the monotonic clock of the server goes with its wall clock' },
  async run(options) {
    const tally = new Tally(options.say)
    const left = cases.slice(0, options.cycles).map((what, cycle) => ({ what, cycle }))
    const next = async (): Promise<void> => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) await runCase(tally, options, one)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, next))
    return tally.report()
  },
}

async function runCase(
  tally: Tally,
  options: SuiteOptions,
  { what, cycle }: { what: Case; cycle: number },
): Promise<void> {
  const before = tally.violations.length
  const world = await World.start({
    random: randomOfCycle(options.seed, cycle),
    tally,
    concurrency: 8,
    answerMs: () => 1,
    config: `[[windows]]\nwindow = "${WINDOW_MS / SECOND_MS}s"\n[[windows]]\nwindow = "24h"\n`,
    prepare: (sandbox) => {
      const path = join(sandbox.folder, 'wall-clock.json')
      writeFileSync(path, JSON.stringify({ addMs: 0, rate: 1 } satisfies Wall))
      return {
        NODE_OPTIONS: `--import=${preload}`,
        DW_TORTURE_WALL_CLOCK: path,
        ...(options.defect === null ? {} : { DW_TORTURE_FOLLOW: '1' }),
      }
    },
  })
  world.cycle = cycle
  try {
    await disturb(world, what)
    if (tally.violations.length > before) return
    tally.survive(what.name)
    options.say(what.name)
  } finally {
    await world.stop()
  }
}

class NoBatchError extends Error {}

async function disturb(world: World, what: Case): Promise<void> {
  const early = await begin(world, { lines: 30, hang: 0 })
  const batch = await begin(world, { lines: 20, hang: 0.5 })
  const createdAt = performance.now()
  await delay(SECOND_MS)
  if (what.wall !== undefined) writeFileSync(join(world.folder, 'wall-clock.json'), JSON.stringify(what.wall))
  if (what.stopMs !== undefined) await world.pause(what.stopMs)
  const downMs = what.restart === true ? await restart(world) : 0
  await world.look(early)
  const later = await begin(world, { lines: 10, hang: 0 }).catch((error: unknown) => {
    if (error instanceof NoBatchError) return null
    throw error
  })
  if (later === null) return world.violate('the server goes on taking batches', what.name)
  if ((later.last?.created_at ?? 0) < (batch.last?.created_at ?? 0))
    world.violate('timestamps never run backwards', `${what.name}: a later batch has an earlier created_at`)
  const elapsedMs = (await endOf(world, batch)) - createdAt
  // While the server was down, or its wall clock set back, server time stood still at its newest stored instant.
  const dueMs = {
    from: what.followsMs === undefined ? WINDOW_MS : 0,
    to: Math.max(WINDOW_MS, what.stopMs ?? 0) + downMs,
  }
  if (what.followsMs !== undefined) dueMs.to = SECOND_MS + downMs
  if (elapsedMs < dueMs.from - OFF_MS_MAX || elapsedMs > dueMs.to + OFF_MS_MAX + LOOK_SLACK_MS)
    world.violate(
      'no batch expires early or late',
      `${what.name}: after ${Math.round(elapsedMs)} ms, due ${dueMs.from} to ${dueMs.to}`,
    )
  checkStamps(world, what, batch)
  await world.settle()
}

/** Tries again: a connection kept from before a stop or a restart may break under the request. */
async function begin(world: World, { lines, hang }: { lines: number; hang: number }): Promise<KnownBatch> {
  const window = hang > 0 ? `${WINDOW_MS / SECOND_MS}s` : '24h'
  for (let attempt = 0; attempt < BEGIN_ATTEMPTS_MAX; attempt += 1) {
    const fileId = await world.upload(world.newFile(lines, { hang }))
    const batch = fileId === null ? null : await world.create(fileId, window)
    if (batch !== null) return batch
  }
  throw new NoBatchError('the server took no batch')
}

/** @returns for how long there was no server */
async function restart(world: World): Promise<number> {
  const from = performance.now()
  await world.kill()
  await world.restart()
  return performance.now() - from
}

async function endOf(world: World, batch: KnownBatch): Promise<number> {
  const giveUpAt = performance.now() + 3 * WINDOW_MS
  while (!batch.isEnded && performance.now() < giveUpAt) {
    await world.look(batch)
    await delay(LOOK_MS)
  }
  return performance.now()
}

function checkStamps(world: World, what: Case, batch: KnownBatch): void {
  const { last } = batch
  if (last?.status !== 'expired')
    world.violate('a batch with unanswered lines expires', `${what.name}: ${last?.status}`)
  const lateMs = ((last?.expired_at ?? 0) - (last?.expires_at ?? 0)) * SECOND_MS
  const stoppedMs = Math.max(0, (what.stopMs ?? 0) - (WINDOW_MS - SECOND_MS)) + (what.followsMs ?? 0)
  if (lateMs < -OFF_MS_MAX || lateMs > stoppedMs + OFF_MS_MAX + LOOK_SLACK_MS)
    world.violate('expired_at is the deadline', `${what.name}: ${lateMs} ms off`)
}
