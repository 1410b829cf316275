/** The lines of a file as they stream by, for the local tools. */
import { LINE_BYTES_MAX } from '../../domain/limits.ts'
import { createBlockCutter } from '../block-cutter.ts'

export type Line = {
  /** Without its line end; null for a line over the limit, which was not held. */
  bytes: Buffer | null
  lineBytes: number
  lineNumber: number
  /** Of its first byte in the file. */
  offset: number
}

const NEWLINE = 10
const CARRIAGE_RETURN = 13
const OPEN_BRACE = 0x7b
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Gives the lines of every chunk, blank ones and a byte order mark left out. Memory is a chunk and the longest line.
 * @param source a chunk may be overwritten once the next one is asked for; so lines are good until the next ones are
 */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line[]> {
  let lines: Line[] = []
  let lineNumber = 0
  let chunk: Uint8Array = Buffer.alloc(0)
  const cutter = createBlockCutter(LINE_BYTES_MAX, {
    onBlock(block, offset) {
      // Only a block that lies in the chunk itself stays as it is after the call.
      const bytes = block.buffer === chunk.buffer ? block : Buffer.from(block)
      let start = offset === 0 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0
      while (start < bytes.byteLength) {
        const newline = bytes.indexOf(NEWLINE, start)
        const lineEnd = newline === -1 ? bytes.byteLength : newline
        const hasReturn = lineEnd > start && bytes[lineEnd - 1] === CARRIAGE_RETURN
        const line = bytes.subarray(start, hasReturn ? lineEnd - 1 : lineEnd)
        lineNumber += 1
        if (!isBlank(line))
          lines.push({ bytes: line, lineBytes: line.byteLength, lineNumber, offset: offset + start })
        start = lineEnd + 1
      }
    },
    onLongLine(lineBytes, offset) {
      lineNumber += 1
      lines.push({ bytes: null, lineBytes, lineNumber, offset })
    },
  })
  const takeLines = (): Line[] => {
    const taken = lines
    lines = []
    return taken
  }
  for await (chunk of source) {
    cutter.push(chunk)
    if (lines.length > 0) yield takeLines()
  }
  cutter.finish()
  if (lines.length > 0) yield takeLines()
}

function isBlank(line: Buffer): boolean {
  if (line[0] === OPEN_BRACE) return false
  return line.every((code) => code === 0x20 || code === 0x09 || code === CARRIAGE_RETURN)
}
