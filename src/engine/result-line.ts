/** Result lines in their final OpenAI form, as parts that are written one after the other: the answer's bytes are never re-serialised. */
import { type InspectedAnswer, oneLine } from './answer.ts'

export type LineParts = readonly (Uint8Array | string)[]

/** Guess: an engine's error page is shown in the error line up to here. */
const TEXT_CHARACTERS_MAX = 2_000
const SAFE_ID = /^[\x21-\x7e]{1,128}$/

/** A line that has an HTTP answer: the output file's line, or the error file's for a refusal. */
export function answeredLine(
  line: { hash: string; customId: Uint8Array },
  answer: InspectedAnswer,
  requestId: string,
): LineParts {
  const shownId = answer.requestId !== null && SAFE_ID.test(answer.requestId) ? answer.requestId : requestId
  const body = answer.isJsonObject ? oneLine(answer.body) : wrapped(answer)
  return [
    `{"id":"batch_req_${line.hash}","custom_id":`,
    line.customId,
    `,"response":{"status_code":${answer.status},"request_id":${JSON.stringify(shownId)},"body":`,
    body,
    '},"error":null}',
  ]
}

/** A line without an HTTP answer. */
export function unansweredLine(
  line: { hash: string; customId: Uint8Array },
  error: { code: string; message: string },
): LineParts {
  return [
    `{"id":"batch_req_${line.hash}","custom_id":`,
    line.customId,
    `,"response":null,"error":${JSON.stringify({ code: error.code, message: error.message })}}`,
  ]
}

/** `response.body` is always an object: what is none becomes the message of one. */
function wrapped(answer: InspectedAnswer): string {
  const text = answer.body.subarray(0, TEXT_CHARACTERS_MAX).toString('utf8')
  const message = text.trim() === '' ? 'The upstream answered with an empty body.' : text
  return JSON.stringify({
    error: { message, type: 'upstream_error', param: null, code: 'not_a_json_object' },
  })
}

export const closingErrors = {
  expired: {
    code: 'batch_expired',
    message: 'This request could not be executed before the completion window expired.',
  },
  cancelled: {
    code: 'batch_cancelled',
    message: 'This request was not executed because the batch was cancelled.',
  },
} as const
