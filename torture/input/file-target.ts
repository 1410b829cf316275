/** The validator of request files against a plain one: every line parsed by itself, everything compared. */
import { isUtf8 } from 'node:buffer'
import { inspectBytes } from '../../src/jsonl/inspect-bytes.ts'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import type { Target } from './target.ts'

const LINE_BYTES_MAX = 8_192

/** @param options missesDuplicates: the defect, repeated ids are not told */
export function fileTarget(options: { missesDuplicates: boolean }): Target {
  return {
    name: 'request files',
    seeds: [
      Buffer.from(jsonl([chatLine(1), chatLine(2, { model: 'b' }), chatLine(3)])),
      Buffer.from(jsonl([chatLine(1), chatLine(1)])),
      Buffer.from(
        '{"custom_id":"é","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":["a","b"]}}\r\n\n  \n{"a":1}',
      ),
    ],
    run: (input) => compare(input, options),
  }
}

function compare(bytes: Buffer, options: { missesDuplicates: boolean }): string | null {
  const inspected = inspectBytes(bytes, { lineBytesMax: LINE_BYTES_MAX })
  const middle = bytes.byteLength >> 1
  const cut = inspectBytes(bytes, { lineBytesMax: LINE_BYTES_MAX, cuts: [middle] })
  if (JSON.stringify(cut) !== JSON.stringify(inspected))
    return 'what is found depends on where the chunks end'
  if (inspected.entries.length !== inspected.lines)
    return `${inspected.lines} lines, ${inspected.entries.length} entries`
  const told = inspected.findings.filter(({ code }) => !(options.missesDuplicates && /duplicate/.test(code)))
  const badLines = new Set(told.map(({ lineNumber }) => lineNumber))
  for (const entry of inspected.entries) {
    const line = bytes.subarray(entry.lineOffset, entry.lineOffset + entry.lineBytes)
    if (badLines.has(entry.lineNumber)) continue
    const problem = problemOf(line, entry)
    if (problem !== null) return `line ${entry.lineNumber} is said to be good: ${problem}`
  }
  return repeatedId(bytes, inspected.entries, badLines)
}

type Entry = ReturnType<typeof inspectBytes>['entries'][number]

function problemOf(line: Buffer, entry: Entry): string | null {
  if (!isUtf8(line)) return 'no UTF-8'
  let request: { custom_id?: unknown; body?: unknown } | null
  try {
    request = JSON.parse(line.toString())
  } catch {
    return 'no JSON'
  }
  const read = (start: number, length: number): unknown =>
    JSON.parse(line.toString('utf8', start, start + length))
  if (typeof request?.custom_id !== 'string') return 'no custom_id'
  if (read(entry.customIdStart, entry.customIdBytes) !== request.custom_id)
    return 'the span of custom_id is another'
  if (JSON.stringify(read(entry.bodyStart, entry.bodyBytes)) !== JSON.stringify(request.body))
    return 'the span of body is another'
  return null
}

function repeatedId(
  bytes: Buffer,
  entries: readonly Entry[],
  badLines: ReadonlySet<number | null>,
): string | null {
  const seen = new Set<string>()
  for (const { lineOffset, lineNumber, customIdStart, customIdBytes } of entries) {
    if (badLines.has(lineNumber) || customIdBytes === 0) continue
    const at = lineOffset + customIdStart
    const id = String(JSON.parse(bytes.toString('utf8', at, at + customIdBytes)))
    if (seen.has(id)) return `line ${lineNumber} repeats the custom_id of another and is said to be good`
    seen.add(id)
  }
  return null
}
