/** Every way of an engine to misbehave, against the real server over real sockets, with the long waits on the clock of the suite. */
import { messageOf } from '../src/lib/errors.ts'
import { type Suite, type SuiteOptions, Tally } from './suite.ts'
import type { Case } from './upstream/case.ts'
import { cases } from './upstream/cases.ts'
import { brokenPromises } from './upstream/checks.ts'
import { defects } from './upstream/defects.ts'
import { World } from './upstream/world.ts'

/** Calls at once, one level a cycle; the first alone is the short size. */
const LEVELS = [4, 64, 1] as const
/** Cases at a time, each with a server of its own. */
const AT_ONCE = 4

export const suite: Suite = {
  name: 'upstream',
  does: 'engines that refuse, stall, reset, lie, redirect, are busy or away: no line fails for it, none is doubled or mixed up',
  unit: 'level',
  short: { cycles: 1, minutes: null },
  full: { cycles: LEVELS.length, minutes: null },
  defects: Object.fromEntries(Object.entries(defects).map(([name, { does }]) => [name, does])),
  async run(options) {
    const tally = new Tally(options.say)
    for (const [cycle, concurrency] of LEVELS.slice(0, options.cycles).entries())
      await runLevel(tally, options, { cycle, concurrency })
    return tally.report()
  },
}

type Level = { cycle: number; concurrency: number }

async function runLevel(tally: Tally, options: SuiteOptions, level: Level): Promise<void> {
  const defect = options.defect === null ? null : (defects[options.defect] ?? null)
  const left = cases.filter(({ name }) => defect === null || defect.on.test(name))
  const tamper = defect ?? {}
  const work = async (worker: number): Promise<void> => {
    const seed = options.seed + level.cycle * AT_ONCE + worker
    let world = await World.start(seed)
    try {
      for (let what = left.shift(); what !== undefined && !tally.isFull; what = left.shift()) {
        if (await isSurvived(world, what, { tally, level, tamper })) continue
        // What it left behind says nothing about the next case.
        await world.stop()
        world = await World.start(seed)
      }
    } finally {
      await world.stop()
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, (_, worker) => work(worker)))
  options.say(`${level.concurrency} calls at once, ${tally.violations.length} violations`)
}

async function isSurvived(
  world: World,
  what: Case,
  { tally, level, tamper }: { tally: Tally; level: Level; tamper: Parameters<World['run']>[1]['tamper'] },
): Promise<boolean> {
  const at = `${what.name} (${level.concurrency} at once)`
  let broken: { promise: string; detail: string }[]
  try {
    broken = brokenPromises(await world.run(what, { concurrency: level.concurrency, tamper }))
  } catch (thrown) {
    broken = [{ promise: 'a case comes to its end', detail: messageOf(thrown) }]
  }
  for (const { promise, detail } of broken) tally.violate(level.cycle, promise, `${at}: ${detail}`)
  if (broken.length > 0) return false
  tally.survive(what.name)
  tally.pass()
  return true
}
