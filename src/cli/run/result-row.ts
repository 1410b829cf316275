/** What one line of a result file says: which request it is of, whether it succeeded, and why not. Pure. */
import type { Line } from '../../jsonl/tools/lines.ts'
import { customIdOf, parseLine } from '../../jsonl/tools/parse-line.ts'
import { type Outcome, outcomeOf, usageOf } from '../foreign/outcome.ts'

export type ResultRow = {
  customId: string
  outcome: Outcome
  /** Null: none stated, or not looked at. */
  usage: { input: number; output: number } | null
}

/** Our server's line of a success; its members stand in this order, and its id has no escapes in most files. */
const OWN_SUCCESS = /^\{"id":"batch_req_[^"\\]*","custom_id":"([^"\\]*)","response":\{"status_code":2\d\d,/
const OWN_END = '},"error":null}'
/** Guess: longer ids are read the slow way. */
const HEAD_BYTES = 512

/**
 * @param options.isOwn of our server, which counts tokens itself: a plain success is then told from its two ends
 * @returns null for a line that is no result of any request
 */
export function readResult(line: Line, { isOwn }: { isOwn: boolean }): ResultRow | null {
  if (isOwn && line.bytes !== null && endsIn(line.bytes, OWN_END)) {
    const customId = OWN_SUCCESS.exec(line.bytes.toString('utf8', 0, HEAD_BYTES))?.[1]
    if (customId !== undefined) return { customId, outcome: 'succeeded', usage: null }
  }
  const value = parseLine(line, () => undefined)?.value
  if (value === undefined) return null
  const customId = customIdOf(value, () => undefined)
  if (customId === null) return null
  const usage = usageOf(value)
  return {
    customId,
    outcome: outcomeOf(value),
    usage: usage === null ? null : { input: usage.prompt, output: usage.completion },
  }
}

function endsIn(bytes: Buffer, text: string): boolean {
  return bytes.byteLength >= text.length && bytes.toString('latin1', bytes.byteLength - text.length) === text
}

const PLAIN_REQUEST = /^\s*\{\s*"custom_id"\s*:\s*"([^"\\]+)"\s*[,}]/

/**
 * The id of a line that was found valid before.
 * @returns null when it has none
 */
export function requestIdOf(line: Line): string | null {
  const head = line.bytes?.toString('utf8', 0, HEAD_BYTES) ?? ''
  const plain = PLAIN_REQUEST.exec(head)?.[1]
  // A key that stands twice counts in its last place, as in `JSON.parse`.
  if (
    plain !== undefined &&
    line.bytes !== null &&
    line.bytes.lastIndexOf('"custom_id"') < head.indexOf('"custom_id"') + 1
  )
    return plain
  const parsed = parseLine(line, () => undefined)
  return parsed === null ? null : customIdOf(parsed.value, () => undefined)
}
