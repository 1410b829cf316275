/**
 * Cuts a stream of chunks into blocks of whole lines. Blocks are parts of the chunks wherever a line does not lie across two of them;
 * only such a line is assembled, and one over the limit is counted and never held.
 */

/** Guess: stays in the cache of the processor, and large enough that what is done once per block does not show. */
const BLOCK_BYTES = 256 * 1024
const NEWLINE = 10
const CARRIAGE_RETURN = 13
/** A carriage return and a newline may follow the longest line. */
const LINE_END_BYTES_MAX = 2
const CARRY_BYTES_KEPT = 1024 * 1024

export type BlockSink = {
  /** Whole lines with their newlines; the last line of the file may lack its own. The bytes are valid during the call. */
  onBlock(block: Buffer, offset: number): void
  /** A line over the limit that was not held. `bytes` is its length without its line end. */
  onLongLine(bytes: number, offset: number): void
}

export type BlockCutter = {
  push(chunk: Uint8Array): void
  finish(): void
}

export function createBlockCutter(lineBytesMax: number, sink: BlockSink): BlockCutter {
  let carry = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  let carried = 0
  /** Bytes of a line over the limit that have passed; 0 while there is none. */
  let skipped = 0
  /** Last two of them, which may be its line end. */
  let skippedTail = Buffer.alloc(0)
  let offset = 0

  const carryMore = (part: Buffer): void => {
    const bytes = carried + part.byteLength
    if (skipped > 0 || bytes > lineBytesMax + LINE_END_BYTES_MAX) {
      const before = skipped > 0 ? skippedTail : carry.subarray(0, carried)
      skippedTail = Buffer.concat([before.subarray(-LINE_END_BYTES_MAX), part.subarray(-LINE_END_BYTES_MAX)])
      skipped += bytes
      carried = 0
      return
    }
    if (bytes > carry.byteLength) {
      carry = enlarged(carry.subarray(0, carried), bytes, lineBytesMax + LINE_END_BYTES_MAX)
    }
    part.copy(carry, carried)
    carried = bytes
  }
  const closeCarry = (): void => {
    if (skipped > 0) {
      sink.onLongLine(skipped - lineEndBytes(skippedTail), offset)
      offset += skipped
    } else if (carried > 0) {
      sink.onBlock(carry.subarray(0, carried), offset)
      offset += carried
    }
    skipped = 0
    carried = 0
    if (carry.byteLength > CARRY_BYTES_KEPT) carry = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  }
  const cutBlock = (chunk: Buffer, at: number): number => {
    const wanted = Math.min(at + BLOCK_BYTES, chunk.byteLength)
    let end = at + chunk.subarray(at, wanted).lastIndexOf(NEWLINE) + 1
    if (end === at) end = chunk.indexOf(NEWLINE, wanted) + 1
    if (end === 0) {
      carryMore(chunk.subarray(at))
      return chunk.byteLength
    }
    const block = chunk.subarray(at, end)
    const bytes = block.byteLength
    // More than BLOCK_BYTES is one line.
    if (bytes > BLOCK_BYTES && bytes > lineBytesMax + LINE_END_BYTES_MAX) {
      sink.onLongLine(bytes - lineEndBytes(block), offset)
    } else {
      sink.onBlock(block, offset)
    }
    offset += bytes
    return end
  }
  return {
    push(bytes) {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      let at = 0
      if (carried > 0 || skipped > 0) {
        const newline = chunk.indexOf(NEWLINE)
        at = newline === -1 ? chunk.byteLength : newline + 1
        carryMore(chunk.subarray(0, at))
        if (newline === -1) return
        closeCarry()
      }
      while (at < chunk.byteLength) at = cutBlock(chunk, at)
    },
    finish: closeCarry,
  }
}

/** A copy with room for `bytes`, twice as large where the bound allows, so that a long line is copied few times. */
function enlarged(held: Buffer, bytes: number, bytesMax: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(2 * bytes, bytesMax)))
  larger.set(held)
  return larger
}

/** Bytes of the line end that a line ends with. */
function lineEndBytes(line: Buffer): number {
  const newlineBytes = line.at(-1) === NEWLINE ? 1 : 0
  return line.at(-1 - newlineBytes) === CARRIAGE_RETURN ? newlineBytes + 1 : newlineBytes
}
