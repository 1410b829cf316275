/**
 * The files of the result log cut short and with bits flipped, at offset after offset: what lies behind the last sync is cut,
 * nothing synced is lost or changed without a word, no garbage is accepted, and damage stops only the batches it may concern.
 */
import { TroubleError } from '../src/lib/errors.ts'
import { FORMAT_HEADER_BYTES } from '../src/lib/format-header.ts'
import type { Random } from '../src/lib/random.ts'
import { frameBytes, SEGMENT_HEADER_BYTES } from '../src/results/disk/log-format.ts'
import { layout, recovered, violations } from '../test/kit/log-scenario.ts'
import { createSimulatedDisk, type Entries, type SimulatedDisk } from '../test/kit/simulated-disk.ts'
import { randomOfCycle, type Suite, Tally } from './suite.ts'
import { resealFrames } from './torn/reseal.ts'
import { batches, buildScene, bytesOf, type Scene, type Target } from './torn/scene.ts'

const PROMISE = 'nothing synced is lost or made up without a word'

const defects = {
  'skips-checksum': 'damaged frames of the log are taken as if none had a checksum',
  'cuts-synced': 'the log is cut at the first damaged frame, also in front of a sync',
  'forgets-damage': 'a batch that was stopped is taken for whole at the next start',
}

export const suite: Suite = {
  name: 'torn',
  does: 'log, records, result lines and checkpoint cut and flipped at offset after offset',
  unit: 'offset',
  short: { cycles: 2_000, minutes: null },
  full: { cycles: 65_536, minutes: null },
  defects,
  async run(options) {
    const tally = new Tally(options.say)
    const scene = buildScene()
    for (let cycle = 0; cycle < options.cycles && !tally.isFull; cycle += 1) {
      // A defect is found with its first violation.
      if (options.defect !== null && tally.violations.length > 0) break
      const random = randomOfCycle(options.seed, cycle)
      for (const kind of ['cut', 'flip'] as const) {
        const targets = scene.targets.filter((target) => isTold(target, kind))
        const target = targets[cycle % targets.length]
        if (target === undefined) throw new Error('the scene has files')
        tryOne(tally, scene, { ...harmOf(target, kind, random), cycle, defect: options.defect })
      }
    }
    return tally.report()
  },
}

type Harm = {
  target: Target
  kind: 'cut' | 'flip'
  /** Where the file ends, or one bit is another. */
  at: number
  /** A second flipped bit of the log's body, and what is flipped. */
  alsoAt: number | null
  bit: number
}
type Trial = Harm & { cycle: number; defect: string | null }

/** Result lines have no checksum, their records tell a cut: a bit of a synced answer that is another is the file system's to find. */
function isTold(target: Target, kind: Harm['kind']): boolean {
  return kind === 'cut' || target.kind !== 'lines' || target.start >= target.syncedBytes
}

function harmOf(target: Target, kind: Harm['kind'], random: Random): Harm {
  const within = (start: number, end: number): number => start + Math.floor(random.float() * (end - start))
  const at = within(target.start, target.end)
  const bit = 1 << within(0, 8)
  // Damage seldom comes alone: a second place shows that what the first one has shown whole is judged again.
  const hasSecond = kind === 'flip' && target.name === 'log body' && random.float() < 0.25
  return { target, kind, at, bit, alsoAt: hasSecond ? within(target.start, target.end) : null }
}

function tryOne(tally: Tally, scene: Scene, trial: Trial): void {
  const { target, kind, at } = trial
  const before = bytesOf(scene.entries, target.path) ?? Buffer.alloc(0)
  const bytes = harmedBytes(before, trial)
  const entries = new Map([...scene.entries, [target.path, { bytes, synced: bytes }]])
  const also = trial.alsoAt === null ? '' : ` and ${trial.alsoAt}`
  const where = `${kind} of ${target.name} (${target.path}) at ${at}${also} of ${before.byteLength}`
  const wrong = wrongAfter(scene, entries, trial)
  for (const what of wrong) tally.violate(trial.cycle, PROMISE, `${where}: ${what}`)
  if (wrong.length > 0) return
  tally.pass()
  tally.survive(`${kind} of ${target.name}`)
}

type Found = ReturnType<typeof recovered>

/** @returns what a start on these files gets wrong */
function wrongAfter(scene: Scene, entries: Entries, trial: Trial): string[] {
  const { target } = trial
  const disk = createSimulatedDisk({ entries })
  let found: Found
  try {
    found = recovered(disk, batches)
  } catch (thrown) {
    return thrown instanceof TroubleError && mayRefuse(trial, thrown) ? [] : [`no start: ${String(thrown)}`]
  }
  const stopped = [...found.damaged.keys()]
  return [
    ...lostOrMadeUp(scene, found, { isEndUnknown: isCutOfLog(trial) && trial.at < target.syncedBytes }),
    ...[...found.damaged].filter(([, reason]) => reason === '').map(([seq]) => `batch ${seq} has no reason`),
    ...stopped
      .filter((seq) => !mayStop(seq, trial))
      .map((seq) => `batch ${seq} is stopped, and was not harmed`),
    ...mustBeStopped(found, trial),
    ...(stopped.length > 0 ? wrongLater(scene, disk, { stopped, entries, trial }) : []),
  ]
}

/** A start that is refused with a reason has damaged nothing: only what all batches hang on may do so, or another version of a file. */
function mayRefuse({ target, at }: Trial, trouble: TroubleError): boolean {
  if (trouble.message === '') return false
  if (target.kind === 'checkpoint') return true
  return at < FORMAT_HEADER_BYTES && (target.kind === 'log' || trouble.code === 'unsupported')
}

/** A batch that is stopped with a reason has lost nothing silently; the others are whole. */
function lostOrMadeUp(scene: Scene, found: Found, options: { isEndUnknown: boolean }): string[] {
  return violations(scene.run, found).filter((what) => {
    if (what.includes(' is damaged: ')) return false
    if (!what.endsWith(' is lost')) return true
    const isStopped = [...found.damaged.keys()].some((seq) => what.includes(`of batch ${seq} is lost`))
    return !isStopped && !options.isEndUnknown
  })
}

/** A crash cuts the log behind its last sync alone. What a disk loses of it in front of that, no log can know: then nothing may be made up. */
function isCutOfLog({ target, kind }: Trial): boolean {
  return target.kind === 'log' && kind === 'cut'
}

function mayStop(seq: number, { target, at, alsoAt }: Trial): boolean {
  if (Math.min(at, alsoAt ?? at) >= target.syncedBytes) return false
  return target.kind === 'log' || target.seq === seq
}

/** What a checkpoint has promised of a batch's own file, and is cut away, must be told. */
function mustBeStopped(found: Found, { target, kind, at }: Trial): string[] {
  if (target.seq === null || kind !== 'cut' || at >= target.syncedBytes) return []
  return found.damaged.has(target.seq) ? [] : [`batch ${target.seq} is not stopped`]
}

/** The next start stops the same batches, and what the checkpoint had promised of a harmed file is as the harm left it. */
function wrongLater(
  scene: Scene,
  disk: SimulatedDisk,
  first: { stopped: readonly number[]; entries: Entries; trial: Trial },
): string[] {
  const { stopped, entries, trial } = first
  if (trial.defect === 'forgets-damage') forgetDamage(disk)
  const again = recovered(disk, batches)
  const wrong = lostOrMadeUp(scene, again, { isEndUnknown: false }).map((what) => `at the next start ${what}`)
  for (const seq of stopped)
    if (!again.damaged.has(seq)) wrong.push(`batch ${seq} is not stopped at the next start`)
  const { path, seq, syncedBytes } = trial.target
  if (seq === null) return wrong
  const harmed = bytesOf(entries, path)?.subarray(0, syncedBytes)
  const left = Buffer.alloc(harmed?.byteLength ?? 0)
  const file = disk.open(path, 'read')
  disk.read(file, left, 0)
  disk.close(file)
  if (harmed?.equals(left) !== true) wrong.push(`${path} was changed`)
  return wrong
}

function forgetDamage(disk: SimulatedDisk): void {
  for (const seq of batches) if (disk.exists(layout.damage(seq))) disk.remove(layout.damage(seq))
}

function harmedBytes(bytes: Buffer, { target, kind, at, alsoAt, bit, defect }: Trial): Buffer {
  if (kind === 'cut') return bytes.subarray(0, at)
  const copy = Buffer.from(bytes)
  for (const place of [at, alsoAt]) if (place !== null) copy[place] = (copy[place] ?? 0) ^ bit
  if (target.kind !== 'log' || at < SEGMENT_HEADER_BYTES) return copy
  if (defect === 'skips-checksum') resealFrames(copy)
  if (defect === 'cuts-synced') return copy.subarray(0, frameAround(bytes, Math.min(at, alsoAt ?? at)))
  return copy
}

/** Where the frame begins that the offset lies in. */
function frameAround(bytes: Buffer, offset: number): number {
  let at = SEGMENT_HEADER_BYTES
  while (at + frameBytes(bytes, at) <= offset) at += frameBytes(bytes, at)
  return at
}
