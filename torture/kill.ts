/** SIGKILL at random instants of everything a server does for a batch. Work of earlier cycles goes on meanwhile. */
import { fileURLToPath } from 'node:url'
import { createSeededRandom } from '../src/lib/random.ts'
import { type Phase, phases } from './kill/phases.ts'
import { randomOfCycle, type Suite, type SuiteOptions, Tally } from './suite.ts'
import type { KillFacts } from './world/call-book.ts'
import { World } from './world/world.ts'

/** Cycles on one data folder; then all its work is brought to an end and checked line by line. */
const CYCLES_PER_WORLD = 20
const CONCURRENCY = 24
/** Guess: far above what the promise says; a machine that stalls for that long would be seen in the distribution first. */
const UNSYNCED_MS_MAX = 2_000

const lateWrite = fileURLToPath(new URL('./kill/late-write.ts', import.meta.url))

export const suite: Suite = {
  name: 'kill',
  does: 'SIGKILL while uploading, creating, running, cancelling, finalising, retrying and deleting; restart; check every promise',
  unit: 'kill',
  short: { cycles: 30, minutes: null },
  full: { cycles: 1_000, minutes: null },
  defects: {
    'acknowledges-before-the-write': 'writes reach the system 100 ms after the server was told they had',
  },
  async run(options) {
    const tally = new Tally(options.say)
    const kills: KillFacts[] = []
    for (let from = 0; from < options.cycles && !tally.isFull; from += CYCLES_PER_WORLD) {
      kills.push(...(await runWorld(tally, options, from)))
      options.say(
        `${Math.min(options.cycles, from + CYCLES_PER_WORLD)} of ${options.cycles} kills, ${tally.violations.length} violations`,
      )
    }
    tally.figures.push(...distribution(kills))
    return tally.report()
  },
}

async function runWorld(tally: Tally, options: SuiteOptions, from: number): Promise<readonly KillFacts[]> {
  const random = createSeededRandom(options.seed + from)
  const world = await World.start({
    random,
    tally,
    concurrency: CONCURRENCY,
    answerMs: () => random.float() * 8,
    ...(options.defect === null ? {} : { prepare: () => ({ NODE_OPTIONS: `--import=${lateWrite}` }) }),
  })
  try {
    const to = Math.min(options.cycles, from + CYCLES_PER_WORLD)
    for (let cycle = from; cycle < to && !tally.isFull; cycle += 1)
      await runCycle(world, tally, { seed: options.seed, cycle })
    await world.settle()
    checkKills(world, tally)
    return world.book.kills
  } finally {
    await world.stop()
  }
}

async function runCycle(
  world: World,
  tally: Tally,
  { seed, cycle }: { seed: number; cycle: number },
): Promise<void> {
  world.cycle = cycle
  const draw = randomOfCycle(seed, cycle).float()
  // The table of phases is not empty.
  const phase = phases[Math.floor(draw * phases.length)] as Phase
  const before = tally.violations.length
  await world.keepBusy()
  await phase.reach(world)
  await world.kill()
  await world.restart()
  await world.check()
  if (tally.violations.length > before) return
  tally.survive(`SIGKILL while ${phase.name}`)
  tally.pass()
}

/** A kill repeats at most what was in flight, and answers that were younger than a sync takes. */
function checkKills(world: World, tally: Tally): void {
  for (const [index, kill] of world.book.kills.entries()) {
    const again = kill.againInFlight + kill.againAnsweredMs.length
    const oldestMs = Math.max(0, ...kill.againAnsweredMs)
    if (kill.againInFlight > CONCURRENCY)
      tally.violate(index, 'a kill repeats only calls in flight', `${again} again, at most ${CONCURRENCY}`)
    if (oldestMs > UNSYNCED_MS_MAX)
      tally.violate(
        index,
        'an answer is durable soon',
        `one of ${oldestMs} ms before the kill was asked for again`,
      )
  }
}

function distribution(kills: readonly KillFacts[]): string[] {
  const line = (what: string, values: readonly number[]): string => {
    const sorted = values.toSorted((a, b) => a - b)
    const at = (share: number): string =>
      (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
    return `${what}: P50 ${at(0.5)}, P90 ${at(0.9)}, P99 ${at(0.99)}, highest ${at(1)} (of ${sorted.length})`
  }
  return [
    line(
      'calls in flight at a kill',
      kills.map((kill) => kill.inFlight),
    ),
    line(
      'calls repeated after a kill',
      kills.map((kill) => kill.againInFlight + kill.againAnsweredMs.length),
    ),
    line(
      'of them answered before it',
      kills.map((kill) => kill.againAnsweredMs.length),
    ),
    line(
      'age at the kill of answers that were repeated, ms',
      kills.flatMap((kill) => kill.againAnsweredMs),
    ),
  ]
}
