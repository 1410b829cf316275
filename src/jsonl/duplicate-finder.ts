/**
 * Finds custom ids that occur twice, in flat memory for any number of lines.
 *
 * Each id leaves a 35-bit keyed hash and a place (where its JSON token lies, and in which line). Hashes are collected in a run; a full
 * run is sorted and spilled with its places. At the end all runs are merged in the order of their hashes. Equal hashes are only
 * candidates: their ids are read back from the file and compared. Nothing outlives `close`, except the spill's file after a crash,
 * which its owner removes at the next start.
 */
import { type HashKey, keyedHash } from './keyed-hash.ts'
import { type KeyRun, mergeRuns } from './run-merge.ts'
import type { Spill } from './spill.ts'
import { createWindowReader, type ReadAt } from './window-reader.ts'

/**
 * Guess: ids held before a run is spilled. Their hashes and places are 24 bytes each, 6 MiB in all; a hundred million lines make
 * 400 runs. A place in a run must fit in the 18 bits that the hash leaves free.
 */
const IDS_HELD_MAX = 2 ** 18
const IDS_HELD_START = 1024
const PLACE_FACTOR = 2 ** 18
const KEY_BYTES = 8
const PLACE_BYTES = 16
/** Line numbers are u32; the length of an id's token takes the 21 bits above them in a double, of which it needs 16. */
const LINE_NUMBER_RANGE = 2 ** 32

export type IdPlace = { tokenOffset: number; tokenBytes: number; lineNumber: number }
export type Duplicate = { id: string; lineNumber: number; firstLineNumber: number }

export type DuplicateFinder = {
  add(id: string, place: IdPlace): void
  /** Reports every line whose id an earlier line has, in no particular order. To be called once. */
  report(onDuplicate: (duplicate: Duplicate) => void): void
  close(): void
}

export type DuplicateFinderOptions = {
  key: HashKey
  spill: Spill
  /** Reads the inspected file itself. */
  readBack: ReadAt
  /** For tests: fewer ids held than usual. */
  idsHeldMax?: number
}

export function createDuplicateFinder(options: DuplicateFinderOptions): DuplicateFinder {
  const { spill } = options
  const heldMax = Math.min(options.idsHeldMax ?? IDS_HELD_MAX, IDS_HELD_MAX)
  let keys = new Float64Array(Math.min(IDS_HELD_START, heldMax))
  /** Two numbers an id: offset of its token; length of its token and number of its line. */
  let places = new Float64Array(2 * keys.length)
  let held = 0
  let bytesSpilled = 0
  const runs: KeyRun[] = []

  const grow = (): void => {
    const length = Math.min(keys.length * 4, heldMax)
    const grownKeys = new Float64Array(length)
    grownKeys.set(keys)
    const grownPlaces = new Float64Array(2 * length)
    grownPlaces.set(places)
    keys = grownKeys
    places = grownPlaces
  }
  const spillRun = (): void => {
    const run = keys.subarray(0, held).sort()
    spill.append(bytesOf(run))
    spill.append(bytesOf(places.subarray(0, 2 * held)))
    runs.push({ offset: bytesSpilled, keys: held })
    bytesSpilled += held * (KEY_BYTES + PLACE_BYTES)
    held = 0
  }
  const readPlaces = createWindowReader(spill.read)
  const readData = createWindowReader(options.readBack)

  const readPlace = (run: KeyRun, place: number): readonly [number, number] => {
    const bytes = readPlaces(run.offset + run.keys * KEY_BYTES + place * PLACE_BYTES, PLACE_BYTES)
    return [bytes.readDoubleLE(0), bytes.readDoubleLE(8)]
  }
  const locate = (runNumber: number, place: number): { id: string; lineNumber: number } => {
    const run = runs[runNumber]
    const [tokenOffset, lengths] = run === undefined ? placeAt(places, place) : readPlace(run, place)
    const tokenBytes = Math.floor(lengths / LINE_NUMBER_RANGE)
    const lineNumber = lengths % LINE_NUMBER_RANGE
    // The token was a JSON string when it was added.
    return { id: JSON.parse(readData(tokenOffset, tokenBytes).toString()) as string, lineNumber }
  }

  return {
    add(id, place) {
      if (held === keys.length) {
        if (held < heldMax) grow()
        else spillRun()
      }
      keys[held] = keyedHash(id, options.key) * PLACE_FACTOR + held
      places[2 * held] = place.tokenOffset
      places[2 * held + 1] = place.tokenBytes * LINE_NUMBER_RANGE + place.lineNumber
      held += 1
    },
    report(onDuplicate) {
      const visit = createGroupVisitor(locate, onDuplicate)
      if (runs.length === 0) {
        for (const key of keys.subarray(0, held).sort()) visit(key, 0)
        return
      }
      if (held > 0) spillRun()
      keys = new Float64Array(0)
      mergeRuns(runs, { read: spill.read, placeFactor: PLACE_FACTOR, visit })
    },
    close: () => spill.close(),
  }
}

/** Takes keys in the order of (hash, run, place), which is the order of the lines where hashes are equal. */
function createGroupVisitor(
  locate: (runNumber: number, place: number) => { id: string; lineNumber: number },
  onDuplicate: (duplicate: Duplicate) => void,
): (key: number, runNumber: number) => void {
  let groupHash = -1
  let first = { key: 0, runNumber: 0 }
  /** First line of each different id of the group; null while the group has one member. Different ids of one hash are a handful. */
  let firstLines: Map<string, number> | null = null
  return (key, runNumber) => {
    const hash = Math.floor(key / PLACE_FACTOR)
    if (hash !== groupHash) {
      groupHash = hash
      first = { key, runNumber }
      firstLines = null
      return
    }
    if (firstLines === null) {
      const { id, lineNumber } = locate(first.runNumber, first.key % PLACE_FACTOR)
      firstLines = new Map([[id, lineNumber]])
    }
    const { id, lineNumber } = locate(runNumber, key % PLACE_FACTOR)
    const firstLineNumber = firstLines.get(id)
    if (firstLineNumber === undefined) firstLines.set(id, lineNumber)
    else onDuplicate({ id, lineNumber, firstLineNumber })
  }
}

function placeAt(places: Float64Array, place: number): readonly [number, number] {
  // `place` came out of a key, which was made with it.
  return [places[2 * place] as number, places[2 * place + 1] as number]
}

function bytesOf(numbers: Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
}
