/** Suites that disturb the real server at its n-th file call, cycle after cycle, while a client has it run a batch. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { randomOfCycle, type SuiteOptions, type SuiteReport, Tally } from '../suite.ts'
import type { KnownBatch } from '../world/ledger.ts'
import { World } from '../world/world.ts'
import type { FaultKind, FaultPlan } from './file-faults.ts'

/** A kind of fault strikes at call 1, 2, 3 … up to about as many as a cycle has, and then from the first on again. */
export type Striking = { kind: Exclude<FaultKind, 'unsynced'>; calls: number }

/** Cycles on one data folder. */
const CYCLES_PER_WORLD = 100
const LINES = 60
const LOOK_MS = 10
/** Longest time until the work of one cycle is done, with a new start in it. */
const CYCLE_MS_MAX = 30_000
/** A process that met a failed sync ends within this. */
const END_MS_MAX = 5_000

const preload = fileURLToPath(new URL('./file-faults.ts', import.meta.url))

/** @param kinds take turns */
export async function runFaults(options: SuiteOptions, kinds: readonly Striking[]): Promise<SuiteReport> {
  const tally = new Tally(options.say)
  for (let from = 0; from < options.cycles && !tally.isFull; from += CYCLES_PER_WORLD) {
    await runWorld(tally, { ...options, kinds }, from)
    options.say(`${Math.min(options.cycles, from + CYCLES_PER_WORLD)} of ${options.cycles} faults`)
  }
  return tally.report()
}

type Run = SuiteOptions & { kinds: readonly Striking[] }

async function runWorld(tally: Tally, options: Run, from: number): Promise<void> {
  let control = ''
  const random = randomOfCycle(options.seed, from)
  const world = await World.start({
    random,
    tally,
    concurrency: 8,
    answerMs: () => random.float() * 10,
    prepare: (sandbox) => {
      control = join(sandbox.folder, 'faults.json')
      writeFileSync(control, '')
      return { NODE_OPTIONS: `--import=${preload}`, DW_TORTURE_FAULTS: control }
    },
  })
  try {
    const to = Math.min(options.cycles, from + CYCLES_PER_WORLD)
    for (let cycle = from; cycle < to && !tally.isFull; cycle += 1)
      await runCycle(world, tally, { ...options, cycle, control })
    arm(control, noFault)
    await world.settle()
  } finally {
    await world.stop()
  }
}

async function runCycle(
  world: World,
  tally: Tally,
  facts: Run & { cycle: number; control: string },
): Promise<void> {
  const { cycle, control, defect, kinds } = facts
  world.cycle = cycle
  // The table of kinds is not empty.
  const { kind, calls } = kinds[cycle % kinds.length] as Striking
  const at = 1 + (Math.floor(cycle / kinds.length) % calls)
  const before = tally.violations.length
  rmSync(`${control}.struck`, { force: true })
  arm(control, { number: cycle + 1, kind: injected(kind, defect), at })
  const batch = await runBatch(world, control)
  const hasStruck = existsSync(`${control}.struck`)
  const isDeadly = kind === 'sync' && hasStruck
  if (isDeadly && !(await hasDied(world, control, batch.deaths)))
    world.violate('a failed sync ends the process', `${kind} at call ${at}, and the server goes on`)
  await disarm(world, control, batch)
  if (kind === 'full' && batch.deaths > 0)
    world.violate('a full disk ends nothing', `call ${at}; the server ended: ${batch.lastWords}`)
  if (kind === 'short' && batch.deaths > 0)
    world.violate('a short write is finished', `call ${at}; the server ended: ${batch.lastWords}`)
  if (batch.known === null) world.violate('work goes on when the fault is over', `${kind} at call ${at}`)
  else if (await world.finish(batch.known)) await world.forget(batch.known)
  if (batch.deaths > 0) await world.check()
  if (tally.violations.length > before) return
  tally.pass()
  tally.survive(
    hasStruck
      ? `${kind}${batch.deaths > 0 ? ', the process ended and started again' : ''}`
      : `${kind}, beyond the last call`,
  )
}

/** lastWords: end of the log of a server that ended. */
type Outcome = { known: KnownBatch | null; deaths: number; lastWords: string }

/** Uploads, creates and waits, as a client that tries again; a server that ended is started again. @returns null when it took too long */
async function runBatch(world: World, control: string): Promise<Outcome> {
  const giveUpAt = performance.now() + CYCLE_MS_MAX
  const file = world.newFile(LINES, { refuse: 0.1 })
  let deaths = 0
  let lastWords = ''
  let fileId: string | null = null
  let known: KnownBatch | null = null
  while (performance.now() < giveUpAt) {
    if (world.server.hasEnded()) lastWords = world.server.log.slice(-3).join(' ')
    if (await reviveIfDead(world, control)) deaths += 1
    fileId ??= await world.upload(file)
    if (fileId !== null) known ??= await world.create(fileId)
    if (known !== null) await world.look(known)
    if (known?.isEnded === true) return { known, deaths, lastWords }
    await delay(LOOK_MS)
  }
  return { known: null, deaths, lastWords }
}

/** What is left of the fault must not strike the tidying up, or the next cycle. */
async function disarm(world: World, control: string, batch: Outcome): Promise<void> {
  arm(control, noFault)
  const isTaken = (): boolean => readFileSync(`${control}.taken`, 'utf8') === String(noFault.number)
  while (!world.server.hasEnded() && !isTaken()) await delay(LOOK_MS)
  if (world.server.hasEnded()) batch.lastWords = world.server.log.slice(-3).join(' ')
  if (await reviveIfDead(world, control)) batch.deaths += 1
}

async function reviveIfDead(world: World, control: string): Promise<boolean> {
  if (!world.server.hasEnded()) return false
  await world.end('SIGKILL')
  // The fault has struck; the new start is to be a sound one.
  arm(control, noFault)
  await world.restart()
  await world.check()
  return true
}

async function hasDied(world: World, control: string, deaths: number): Promise<boolean> {
  const giveUpAt = performance.now() + END_MS_MAX
  while (deaths === 0 && performance.now() < giveUpAt) {
    if (await reviveIfDead(world, control)) return true
    await delay(LOOK_MS)
  }
  return deaths > 0
}

function injected(kind: FaultKind, defect: string | null): FaultKind {
  if (defect === 'ignores-failed-syncs' && kind === 'sync') return 'unsynced'
  return kind
}

const noFault: FaultPlan = { number: 0, kind: 'full', at: 0 }

/** Written whole or not at all: the server reads it at any time. */
function arm(control: string, plan: FaultPlan): void {
  writeFileSync(`${control}.next`, JSON.stringify(plan))
  renameSync(`${control}.next`, control)
}
