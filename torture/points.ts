/** A crash before and after every file call of uploads and results, on a disk that keeps only what was synced, everything, or a part. */
import { TroubleError } from '../src/lib/errors.ts'
import { createSeededRandom } from '../src/lib/random.ts'
import {
  CrashError,
  createSimulatedDisk,
  type Fault,
  type Image,
  type SimulatedDisk,
} from '../test/kit/simulated-disk.ts'
import { resultsStory } from './points/results-story.ts'
import type { Check, Story } from './points/story.ts'
import { uploadStory } from './points/upload-story.ts'
import { type Suite, type SuiteOptions, Tally } from './suite.ts'

const images: readonly Image[] = ['synced', 'everything', 'random']
const stories: readonly Story[] = [uploadStory, resultsStory]
/** A crash during the recovery from a crash is tried at every so many calls of the first. */
const SECOND_CRASH_EVERY = 9

const defects = {
  'skips-sync': 'data is acknowledged without having been synced',
  'skips-folder-sync': 'names are acknowledged without having been synced',
}

export const suite: Suite = {
  name: 'points',
  does: 'a crash before and after every file call on the path, on three images of the disk, and again during the recovery',
  unit: 'image',
  short: { cycles: 1, minutes: null },
  full: { cycles: images.length, minutes: null },
  defects,
  async run(options) {
    const tally = new Tally(options.say)
    for (const story of stories) {
      const probe = createSimulatedDisk()
      story.run(probe)
      options.say(`${story.name}: ${probe.calls()} file calls of ${new Set(probe.names()).size} kinds`)
      for (const image of images.slice(0, options.cycles))
        crashAll(tally, options, { story, image, names: probe.names() })
    }
    return tally.report()
  },
}

type Run = { story: Story; image: Image; names: readonly string[] }

function crashAll(tally: Tally, options: SuiteOptions, run: Run): void {
  for (const [index, name] of run.names.entries()) {
    for (const kind of ['crash-before', 'crash-after'] as const) {
      const fault: Fault = { at: index + 1, kind }
      const crashed = createSimulatedDisk({ fault })
      const check = run.story.run(lying(crashed, options.defect))
      if (check === null) continue
      const where = `${kind} call ${fault.at} (${name}), ${run.image}`
      const left = (): SimulatedDisk => crashed.after(run.image, createSeededRandom(options.seed + fault.at))
      const missing = checked(check, left())
      if (index % SECOND_CRASH_EVERY === 0) missing.push(...crashRecovery(check, left, options.seed))
      for (const what of missing)
        tally.violate(
          fault.at,
          'what was acknowledged survives a crash',
          `${run.story.name}: ${where}: ${what}`,
        )
      if (missing.length > 0) continue
      tally.pass()
      tally.survive(`${run.story.name}: crash at ${name}`)
    }
  }
}

/** Crashes once more, at each call of the recovery. @returns what is missing after the recovery from that */
function crashRecovery(check: Check, left: () => SimulatedDisk, seed: number): string[] {
  const probe = left()
  checked(check, probe)
  const missing: string[] = []
  for (let at = 1; at <= probe.calls(); at += 1) {
    const again = left().withFault({ at, kind: 'crash-before' })
    try {
      checked(check, again)
    } catch (thrown) {
      if (!(thrown instanceof CrashError)) throw thrown
    }
    missing.push(
      ...checked(check, again.after('synced', createSeededRandom(seed + at))).map(
        (what) => `crash ${at} of the recovery: ${what}`,
      ),
    )
  }
  return missing
}

/** A start that is refused misses everything. */
function checked(check: Check, disk: SimulatedDisk): string[] {
  try {
    return check(disk)
  } catch (thrown) {
    if (!(thrown instanceof TroubleError)) throw thrown
    return [`no start: ${thrown.message}`]
  }
}

/** A disk that says yes to what it does not do. */
function lying(disk: SimulatedDisk, defect: string | null): SimulatedDisk {
  if (defect === 'skips-sync') return { ...disk, syncData: () => undefined }
  if (defect === 'skips-folder-sync') return { ...disk, syncFolder: () => undefined }
  return disk
}
