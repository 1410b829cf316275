/**
 * Bytes that the network brings lie outside of the heap. The collector goes by what lies inside of it, which for such a buffer is next to
 * nothing, and lets hundreds of megabytes of them pile up before it looks. Whoever takes in many bytes counts them here.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Guess: what may pile up between two looks at the young, each of which takes about a millisecond. */
const UNCOLLECTED_BYTES_MAX = 16 * 1024 * 1024

setFlagsFromString('--expose-gc')
// The flag adds a function of this name to every context that is made from now on.
const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void

let uncollected = 0

/** Counts bytes of buffers that live only for a moment. */
export function countOutsideMemory(bytes: number): void {
  uncollected += bytes
  if (uncollected < UNCOLLECTED_BYTES_MAX) return
  uncollected = 0
  collect({ type: 'minor' })
}
