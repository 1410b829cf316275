/**
 * The files of the result log cut short and with a bit flipped, at offset after offset: what lies behind the last sync is cut,
 * nothing synced is lost or changed without a word, no garbage is accepted, and damage stops only the batches it may concern.
 */
import { crc32 } from 'node:zlib'
import { TroubleError } from '../src/lib/errors.ts'
import type { Random } from '../src/lib/random.ts'
import { frameBytes, GROUP_FRAME_BYTES, SEGMENT_HEADER_BYTES } from '../src/results/disk/log-format.ts'
import { recover } from '../src/results/disk/recovery.ts'
import { entriesOf, layout, line, Run, recovered, violations } from '../test/kit/log-scenario.ts'
import { createSimulatedDisk, type Entries } from '../test/kit/simulated-disk.ts'
import { randomOfCycle, type Suite, type SuiteOptions, Tally } from './suite.ts'

const LINES = 24
const BATCHES = [1, 2, 3]

export const suite: Suite = {
  name: 'torn',
  does: 'log, records, result lines and checkpoint cut and flipped at offset after offset',
  unit: 'offset',
  short: { cycles: 2_000, minutes: null },
  full: { cycles: 65_536, minutes: null },
  defects: {
    'valid-checksums': 'damaged frames carry a checksum that holds, as if none were checked',
    'lying-sync-marks': 'what was acknowledged was never written: the last synced write is missing whole',
  },
  async run(options) {
    const tally = new Tally(options.say)
    const scene = buildScene()
    for (let cycle = 0; cycle < options.cycles && !tally.isFull; cycle += 1) {
      const random = randomOfCycle(options.seed, cycle)
      // The table of targets is not empty.
      const target = scene.targets[cycle % scene.targets.length] as Target
      for (const harm of harmsOf(target))
        tryOne(tally, scene, { target, harm, cycle, random, defect: options.defect })
    }
    return tally.report()
  },
}

/** A file, and from where on its bytes were never synced. */
type Target = { name: string; path: string; syncedBytes: number }
type Scene = { entries: Entries; run: Run; targets: readonly Target[] }
type Harm = {
  target: Target
  harm: 'cut' | 'flip'
  cycle: number
  random: Random
  defect: SuiteOptions['defect']
}

/** Three batches: lines behind a checkpoint in their own files, lines in the log alone, and an unsynced write at its end. */
function buildScene(): Scene {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const run = new Run(log)
  const append = (from: number, to: number): void => {
    for (let index = from; index < to; index += 2)
      run.append(BATCHES.flatMap((seq) => [line(seq, index), line(seq, index + 1)]))
  }
  append(0, LINES / 2)
  log.checkpoint()
  append(LINES / 2, LINES)
  const segment = disk.list(layout.log).find((name) => name.endsWith('.log'))
  if (segment === undefined) throw new Error('the log has a segment')
  const path = `${layout.log}/${segment}`
  const syncedBytes = bytesOf(entriesOf(disk), path).byteLength
  // One more write that a crash kept from its sync: nobody was told of its lines.
  append(LINES, LINES + 2)
  run.durable.splice(-2 * BATCHES.length)
  const entries = entriesOf(disk)
  const files = BATCHES.flatMap((seq) => [
    { name: 'records', path: layout.records(seq) },
    { name: 'output lines', path: layout.lines(seq, 'output') },
    { name: 'error lines', path: layout.lines(seq, 'error') },
  ]).map((file) => ({ ...file, syncedBytes: bytesOf(entries, file.path).byteLength }))
  const targets: Target[] = [
    // The log is where most can be torn: every second offset.
    ...files.flatMap((file) => [{ name: 'log', path, syncedBytes }, file]),
    {
      name: 'checkpoint',
      path: layout.checkpoint,
      syncedBytes: bytesOf(entries, layout.checkpoint).byteLength,
    },
  ]
  return { entries, run, targets }
}

function tryOne(tally: Tally, scene: Scene, harm: Harm): void {
  const { target, cycle } = harm
  const bytes = bytesOf(scene.entries, target.path)
  // A crash cuts the log behind its last sync alone; what a disk loses of it in front of that, no log can know.
  const from = harm.harm === 'cut' && target.name === 'log' ? target.syncedBytes : 0
  const at = from + Math.floor(harm.random.float() * (bytes.byteLength - from))
  const harmed = harmedBytes(bytes, at, harm)
  const entries = new Map([...scene.entries, [target.path, { bytes: harmed, synced: harmed }]])
  const where = `${harm.harm} of ${target.name} (${target.path}) at ${at} of ${bytes.byteLength}`
  const wrong = wrongAfter(scene.run, entries, at < target.syncedBytes)
  for (const what of wrong)
    tally.violate(cycle, 'nothing synced is lost or made up without a word', `${where}: ${what}`)
  if (wrong.length > 0) return
  tally.pass()
  tally.survive(`${harm.harm} of ${target.name}${at < target.syncedBytes ? '' : ', unsynced tail'}`)
}

/** @returns what a start on these files gets wrong. @param isSynced damage may be told instead of repaired */
function wrongAfter(run: Run, entries: Entries, isSynced: boolean): string[] {
  const disk = createSimulatedDisk({ entries })
  try {
    const found = recovered(disk, BATCHES)
    const wrong = violations(run, found)
    if (!isSynced) return wrong
    // A batch that is stopped with a reason has lost nothing silently; the others must be whole.
    const stopped = [...found.damaged.keys()]
    return wrong.filter(
      (what) =>
        !what.includes(' is damaged: ') && !stopped.some((seq) => what.includes(`of batch ${seq} is lost`)),
    )
  } catch (thrown) {
    // A start that is refused with a reason has damaged nothing.
    if (isSynced && thrown instanceof TroubleError) return []
    return [`no start: ${String(thrown)}`]
  }
}

/** Result lines have no checksum: they are cut, which their records tell. A flipped bit of an answer at rest is the file system's to find. */
function harmsOf(target: Target): readonly Harm['harm'][] {
  return target.name.endsWith('lines') ? ['cut'] : ['cut', 'flip']
}

function harmedBytes(bytes: Buffer, at: number, { harm, defect, target, random }: Harm): Buffer {
  if (defect === 'lying-sync-marks' && target.name === 'log')
    return Buffer.from(bytes.subarray(0, lastGroup(bytes.subarray(0, target.syncedBytes))))
  if (harm === 'cut') return Buffer.from(bytes.subarray(0, at))
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random.float() * 8))
  if (defect === 'valid-checksums' && target.name === 'log') resealFrames(copy, target.syncedBytes)
  return copy
}

/** Gives every frame a checksum that holds for what it has become. */
function resealFrames(bytes: Buffer, end: number): void {
  for (let at = SEGMENT_HEADER_BYTES; at + GROUP_FRAME_BYTES <= end; ) {
    const next = at + frameBytes(bytes, at)
    if (next <= at || next > end) return
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, next)), at + 4)
    at = next
  }
}

/** Offset of the last group frame: where the last write begins. */
function lastGroup(bytes: Buffer): number {
  return bytes.lastIndexOf('dw-group') - (GROUP_FRAME_BYTES - 'dw-group'.length)
}

function bytesOf(entries: Entries, path: string): Buffer {
  const entry = entries.get(path)
  if (entry === undefined || entry === 'folder') throw new Error(`${path} is no file`)
  return entry.bytes
}
