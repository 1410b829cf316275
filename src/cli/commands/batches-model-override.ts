/**
 * Replaces the model of every request line while the bytes stream by; all other bytes stay as they are. A line without a model gets one
 * as the first member of its body. Memory is one line.
 */
import { findSpans } from '../../jsonl/json-spans.ts'

const NEWLINE = 10
const QUOTE_COLON = ':'

/** @param model as the user wrote it */
export async function* overrideModel(
  source: AsyncIterable<Uint8Array>,
  model: string,
): AsyncGenerator<Buffer> {
  const token = Buffer.from(JSON.stringify(model))
  let held: Buffer[] = []
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const last = bytes.lastIndexOf(NEWLINE)
    if (last === -1) {
      held.push(Buffer.from(bytes))
      continue
    }
    yield spliceLines(Buffer.concat([...held, bytes.subarray(0, last + 1)]), token)
    held = last + 1 === bytes.byteLength ? [] : [Buffer.from(bytes.subarray(last + 1))]
  }
  if (held.length > 0) yield spliceLines(Buffer.concat(held), token)
}

function spliceLines(lines: Buffer, token: Buffer): Buffer {
  const parts: Buffer[] = []
  let start = 0
  while (start < lines.byteLength) {
    const newline = lines.indexOf(NEWLINE, start)
    const end = newline === -1 ? lines.byteLength : newline
    parts.push(...spliceLine(lines.subarray(start, end), token))
    if (newline !== -1) parts.push(lines.subarray(newline, newline + 1))
    start = end + 1
  }
  return Buffer.concat(parts)
}

/** @param line without its newline; valid, or blank @returns its parts with the model replaced */
function spliceLine(line: Buffer, token: Buffer): Buffer[] {
  // Read as Latin-1, a place in the text is a byte offset.
  const text = line.toString('latin1')
  if (text.trim() === '') return [line]
  const spans = findSpans(text, text.includes('\\u'))
  if (spans.modelStart !== -1)
    return [line.subarray(0, spans.modelStart), token, line.subarray(spans.modelEnd)]
  const inBody = spans.bodyStart + 1
  const isEmpty = /^\s*\}/.test(text.slice(inBody, spans.bodyEnd))
  const member = Buffer.concat([Buffer.from(`"model"${QUOTE_COLON}`), token, Buffer.from(isEmpty ? '' : ',')])
  return [line.subarray(0, inBody), member, line.subarray(inBody)]
}
