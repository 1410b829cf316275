/**
 * Small reads of one file. Reads near to the last one share a window, lone ones take just their bytes: a run of close reads costs few
 * calls, scattered ones no more than they need.
 */
import { assert } from '../lib/errors.ts'

/** Guess: large beside an id, small beside a file. */
const WINDOW_BYTES = 64 * 1024

/** Fills `target` from `offset`. @returns bytes read, fewer only at the end */
export type ReadAt = (target: Uint8Array, offset: number) => number

/** @returns a function that gives the bytes at an offset; they are valid until its next call */
export function createWindowReader(read: ReadAt): (offset: number, bytes: number) => Buffer {
  let storage: Buffer = Buffer.alloc(0)
  let window = storage
  let windowOffset = 0
  return (offset, bytes) => {
    const windowEnd = windowOffset + window.byteLength
    if (offset < windowOffset || offset + bytes > windowEnd) {
      const isNear = offset >= windowOffset && offset < windowEnd + WINDOW_BYTES
      const wanted = isNear ? Math.max(bytes, WINDOW_BYTES) : bytes
      if (storage.byteLength < wanted) storage = Buffer.allocUnsafeSlow(Math.max(wanted, WINDOW_BYTES))
      const filled = read(storage.subarray(0, wanted), offset)
      assert(filled >= bytes, 'bytes that were inspected can be read again')
      window = storage.subarray(0, filled)
      windowOffset = offset
    }
    return window.subarray(offset - windowOffset, offset - windowOffset + bytes)
  }
}
