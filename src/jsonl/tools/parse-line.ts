/** Reads one line as a JSON object, and says what is wrong with it otherwise. Codes are those of the inspector. */
import { isAscii, isUtf8 } from 'node:buffer'
import { CUSTOM_ID_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX, LINE_BYTES_MAX } from '../../domain/limits.ts'
import { weighJson } from '../json-spans.ts'
import { isObject, type JsonObject } from '../prompt-bytes.ts'
import type { Line } from './lines.ts'

export type Problem = { code: string; message: string }
export type ReportProblem = (problem: Problem) => void

export type ParsedLine = {
  /** The line as Latin-1, so that a place in the text is a byte offset. */
  text: string
  value: JsonObject
}

/** Lines below this cannot hold enough values to matter. */
const WEIGHED_BYTES_MIN = 256 * 1024

export function parseLine(line: Line, report: ReportProblem): ParsedLine | null {
  const { bytes, lineBytes } = line
  if (bytes === null) {
    report(lineTooLong(lineBytes))
    return null
  }
  if (!isUtf8(bytes)) {
    report({ code: 'invalid_utf8', message: 'This line is not valid UTF-8. Save the file as UTF-8.' })
    return null
  }
  const text = bytes.toString('latin1')
  if (text.length > WEIGHED_BYTES_MIN) {
    const { depth, values } = weighJson(text)
    if (depth > JSON_DEPTH_MAX || values > JSON_VALUES_MAX) {
      const message = `This line nests ${depth} and holds ${values} JSON values; the limits are ${JSON_DEPTH_MAX} and ${JSON_VALUES_MAX}.`
      report({ code: 'line_too_complex', message })
      return null
    }
  }
  const value = parseJson(isAscii(bytes) ? text : bytes.toString())
  if (isObject(value)) return { text, value }
  const message =
    value === undefined
      ? 'This line is not parseable as valid JSON.'
      : 'This line is valid JSON but not an object.'
  report({ code: 'invalid_json_line', message })
  return null
}

export function lineTooLong(lineBytes: number): Problem {
  const message = `This line has ${lineBytes} bytes; the limit is ${LINE_BYTES_MAX} bytes.`
  return { code: 'line_too_long', message }
}

/** The line's id; null when it has none that can be used, which is reported. */
export function customIdOf(value: JsonObject, report: ReportProblem): string | null {
  const id = value.custom_id
  if (typeof id !== 'string' || id === '') {
    report({ code: 'no_custom_id', message: 'This line has no custom_id, or none that is a text.' })
    return null
  }
  // A UTF-16 unit takes at most three bytes.
  if (id.length * 3 <= CUSTOM_ID_BYTES_MAX || Buffer.byteLength(id) <= CUSTOM_ID_BYTES_MAX) return id
  const message = `The custom_id of this line has more than ${CUSTOM_ID_BYTES_MAX} bytes.`
  report({ code: 'string_above_max_length', message })
  return null
}

/** undefined when the text is no JSON, which cannot be a JSON value. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // JSON.parse throws for no other reason than its text.
    return undefined
  }
}
