/**
 * Finds ids that were added more than once, in flat memory for any number of them. The ids themselves go to a temporary file, so
 * that they may come from a stream, from several files, or be made up on the way.
 */
import { createDuplicateFinder } from '../duplicate-finder.ts'
import { createDiskSpill } from '../spill.ts'
import { type Desk, temporaryPath } from './desk.ts'

/** Guess: few calls, small beside everything else. */
const HELD_BYTES_MAX = 256 * 1024

export type Repeat = { id: string; number: number; firstNumber: number }

export type IdLedger = {
  /** @param number up to 2^32 - 1, larger than all before: what `report` names the id by @throws TroubleError */
  add(id: string, number: number): void
  /** Every number whose id an earlier one has, in no particular order. To be called once. @throws TroubleError */
  report(onRepeat: (repeat: Repeat) => void): void
  /** Leaves nothing behind. */
  close(): void
}

export function createIdLedger(desk: Desk): IdLedger {
  const tokens = createDiskSpill(desk.disk, temporaryPath(desk))
  const seed = Buffer.from(desk.random.bytes(8))
  const finder = createDuplicateFinder({
    key: { low: seed.readInt32LE(0), high: seed.readInt32LE(4) },
    spill: createDiskSpill(desk.disk, temporaryPath(desk)),
    readBack: tokens.read,
  })
  let held: Buffer[] = []
  let heldBytes = 0
  let tokenOffset = 0
  const flush = (): void => {
    if (heldBytes > 0) tokens.append(Buffer.concat(held))
    held = []
    heldBytes = 0
  }
  return {
    add(id, number) {
      const token = Buffer.from(JSON.stringify(id))
      finder.add(id, { tokenOffset, tokenBytes: token.byteLength, lineNumber: number })
      tokenOffset += token.byteLength
      held.push(token)
      heldBytes += token.byteLength
      if (heldBytes >= HELD_BYTES_MAX) flush()
    },
    report(onRepeat) {
      flush()
      finder.report(({ id, lineNumber, firstLineNumber }) =>
        onRepeat({ id, number: lineNumber, firstNumber: firstLineNumber }),
      )
    },
    close() {
      finder.close()
      tokens.close()
    },
  }
}
