/** Merges sorted runs of keys that lie in a spill, each read through a small window. */
import { assert } from '../lib/errors.ts'
import type { ReadAt } from './window-reader.ts'

/** Where a run's keys (doubles, ascending) lie. */
export type KeyRun = { offset: number; keys: number }

/** Guess: windows of all runs together, 4 MiB; each has at least a page. */
const KEYS_HELD_MAX = 512 * 1024
const WINDOW_KEYS_MIN = 512
const WINDOW_KEYS_MAX = 8192

type Cursor = {
  runNumber: number
  /** Key without its place: what runs are merged by. */
  hash: number
  key: number
  window: Float64Array
  at: number
  /** Keys of the run behind the window. */
  left: number
  offset: number
}

/** Visits all keys in the order of (key without its place, run, place). A place is the remainder of a key by `placeFactor`. */
export function mergeRuns(
  runs: readonly KeyRun[],
  options: { read: ReadAt; placeFactor: number; visit: (key: number, runNumber: number) => void },
): void {
  const windowKeys = Math.min(
    Math.max(Math.floor(KEYS_HELD_MAX / runs.length), WINDOW_KEYS_MIN),
    WINDOW_KEYS_MAX,
  )
  const advance = (cursor: Cursor): boolean => {
    if (cursor.at === cursor.window.length) {
      if (cursor.left === 0) return false
      const count = Math.min(windowKeys, cursor.left)
      if (cursor.window.length !== count) cursor.window = new Float64Array(count)
      const bytes = new Uint8Array(cursor.window.buffer)
      assert(options.read(bytes, cursor.offset) === bytes.byteLength, 'a run is as long as it was written')
      cursor.offset += bytes.byteLength
      cursor.left -= count
      cursor.at = 0
    }
    // Inside the window by the check above.
    cursor.key = cursor.window[cursor.at] as number
    cursor.hash = Math.floor(cursor.key / options.placeFactor)
    cursor.at += 1
    return true
  }
  const heap: Cursor[] = []
  for (const [runNumber, run] of runs.entries()) {
    const cursor: Cursor = {
      runNumber,
      hash: 0,
      key: 0,
      window: new Float64Array(0),
      at: 0,
      left: run.keys,
      offset: run.offset,
    }
    if (advance(cursor)) heap.push(cursor)
  }
  for (let at = (heap.length >> 1) - 1; at >= 0; at -= 1) sink(heap, at)
  while (heap.length > 0) {
    const next = heap[0] as Cursor // Not empty.
    options.visit(next.key, next.runNumber)
    if (!advance(next)) {
      const last = heap.pop() as Cursor // Not empty.
      if (last === next) break
      heap[0] = last
    }
    sink(heap, 0)
  }
}

function isBefore(left: Cursor, right: Cursor): boolean {
  return left.hash < right.hash || (left.hash === right.hash && left.runNumber < right.runNumber)
}

/** Restores the order of a binary heap below `start`. */
function sink(heap: Cursor[], start: number): void {
  const moved = heap[start] as Cursor // `start` lies in the heap.
  let at = start
  for (;;) {
    const left = heap[2 * at + 1]
    if (left === undefined) break
    const right = heap[2 * at + 2]
    const isRight = right !== undefined && isBefore(right, left)
    const child = isRight ? right : left
    if (!isBefore(child, moved)) break
    heap[at] = child
    at = 2 * at + (isRight ? 2 : 1)
  }
  heap[at] = moved
}
