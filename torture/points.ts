/** A crash before and after every file call of uploads and results, on a disk that keeps only what was synced, everything, or a part. */
import { createSeededRandom } from '../src/lib/random.ts'
import {
  CrashError,
  createSimulatedDisk,
  type Fault,
  type Image,
  type SimulatedDisk,
} from '../test/kit/simulated-disk.ts'
import { type Defect, defects, harmed } from './points/defects.ts'
import { ballastStory, resultsStory } from './points/results-story.ts'
import { DATA_FOLDER, type Story, type Telling } from './points/story.ts'
import { uploadStory } from './points/upload-story.ts'
import { type Suite, type SuiteOptions, Tally } from './suite.ts'

const images: readonly Image[] = ['synced', 'everything', 'random']
const stories: readonly Story[] = [uploadStory, resultsStory, ballastStory]
/** A crash during the start after a crash is tried at every so many calls of the first; it is most of the time a run takes. */
const SECOND_CRASH_EVERY = { full: 9, short: 31 }
const PROMISE = 'what was acknowledged survives a crash, nothing is made up, and the work goes on'

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
      const names = (await callsOf(story, options)).map((name) => name.replace(DATA_FOLDER.slice(1), 'data'))
      const figure = `${story.name}: ${names.length} file calls of ${new Set(names).size} kinds`
      tally.figures.push(figure)
      // A checksum that is not looked at can only be missed where something is torn.
      const chosen = options.defect === 'skips-checksum' ? images.slice(2) : images.slice(0, options.cycles)
      for (const image of chosen) await crashAll(tally, options, { story, image, names })
    }
    return tally.report()
  },
}

type Run = { story: Story; image: Image; names: readonly string[] }
/** A course of the work that a crash has ended. */
type Ended = { telling: Telling; disk: SimulatedDisk; wrong: string[] }

function tellingOf(story: Story, options: SuiteOptions): Telling {
  return story.begin({ acknowledgesEarly: options.defect === 'acknowledges-early' })
}

/** The points: what the undisturbed work calls. */
async function callsOf(story: Story, options: SuiteOptions): Promise<readonly string[]> {
  const disk = createSimulatedDisk({ bytesFree: story.bytesFree })
  const wrong = await tellingOf(story, options).finish(disk)
  if (wrong.length > 0) throw new Error(`${story.name} goes wrong without a crash: ${wrong.join('; ')}`)
  return disk.names()
}

async function crashAll(tally: Tally, options: SuiteOptions, run: Run): Promise<void> {
  const { story, image } = run
  const secondCrashEvery = SECOND_CRASH_EVERY[options.cycles < images.length ? 'short' : 'full']
  for (const [index, name] of run.names.entries()) {
    for (const kind of ['crash-before', 'crash-after'] as const) {
      if (isDecided(tally, options)) return
      const first = await crash(options, story, { at: index + 1, kind })
      const seed = options.seed + index
      const left = (): SimulatedDisk => first.disk.after(image, createSeededRandom(seed))
      const wrong = await restarted(first.telling.copy(), left(), options)
      if (index % secondCrashEvery === 0) wrong.push(...(await crashTheStart(first, left, options)))
      const where = `${story.name}: ${kind} call ${index + 1} (${name}), ${image}`
      for (const what of wrong) tally.violate(index + 1, PROMISE, `${where}: ${what}`)
      if (wrong.length > 0) continue
      tally.pass()
      tally.survive(`${story.name}: crash at ${name}`)
    }
  }
}

/** A defect is found with its first violation. */
function isDecided(tally: Tally, options: SuiteOptions): boolean {
  return tally.isFull || (options.defect !== null && tally.violations.length > 0)
}

async function crash(options: SuiteOptions, story: Story, fault: Fault): Promise<Ended> {
  const disk = createSimulatedDisk({ fault, bytesFree: story.bytesFree })
  const telling = tellingOf(story, options)
  // The defects are those of the program that crashes; the one that starts after it works.
  const wrong = await untilCrash(() => telling.finish(harmed(disk, options.defect as Defect | null)))
  return { telling, disk, wrong }
}

/** Starts on what is left, works to the end, and starts once more after the power was lost again. */
async function restarted(telling: Telling, disk: SimulatedDisk, options: SuiteOptions): Promise<string[]> {
  const reading = options.defect === 'skips-checksum' ? harmed(disk, 'skips-checksum') : disk
  try {
    const wrong = await telling.start(reading)
    if (wrong.length > 0) return wrong
    const atEnd = await telling.finish(disk)
    if (atEnd.length > 0) return atEnd
    return await telling.start(disk.after('synced', createSeededRandom(options.seed)))
  } catch (thrown) {
    // A start that is refused, or an assertion of the product: either misses everything.
    return [`no start: ${String(thrown)}`]
  }
}

/** Crashes once more, at each call of the start. @returns what is missing after the start after that */
async function crashTheStart(
  first: Ended,
  left: () => SimulatedDisk,
  options: SuiteOptions,
): Promise<string[]> {
  const probe = left()
  await untilCrash(() => first.telling.copy().start(probe))
  const wrong: string[] = []
  for (let at = 1; at <= probe.calls(); at += 1) {
    const again = left().withFault({ at, kind: 'crash-before' })
    const telling = first.telling.copy()
    await untilCrash(() => telling.start(again))
    const image = images[at % images.length] ?? 'synced'
    const found = await restarted(telling, again.after(image, createSeededRandom(options.seed + at)), options)
    wrong.push(...found.map((what) => `crash ${at} of the start, ${image}: ${what}`))
  }
  return wrong
}

async function untilCrash(act: () => Promise<string[]>): Promise<string[]> {
  try {
    return await act()
  } catch (thrown) {
    if (thrown instanceof CrashError) return []
    return [`no end: ${String(thrown)}`]
  }
}
