/** Answers of an engine of any bytes: their result line is one line of JSON that holds them, byte for byte apart from line breaks. */
import { isUtf8 } from 'node:buffer'
import { inspectAnswer } from '../../src/engine/answer.ts'
import { answeredLine, unansweredLine } from '../../src/engine/result-line.ts'
import { isRecord } from './plain-validator.ts'
import type { Target } from './target.ts'

const statuses = [200, 201, 400, 404, 500]
const KEY = 'sk-a-key-of-an-engine'
const ID = '"an \\u00efd é"'

export function answerTarget(): Target {
  return {
    name: 'answers',
    seeds: [
      '{"id":"x","choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
      '{"usage":{"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cached_tokens":4},"output_tokens_details":{"reasoning_tokens":1}}}',
      '{\r\n "error": {"message": "no é", "type": "t", "code": null}\n}',
      `{"error":{"message":"wrong key ${KEY}"}}`,
      '<html>busy</html>',
    ].map((text) => Buffer.from(text)),
    tokens: [KEY, '"usage":', '"prompt_tokens":', '"error":{"message":', '"code":"a",', '\r\n', ',\n', '"}}\n{"id":'],
    run(input, random) {
      const status = statuses[Math.floor(random.float() * statuses.length)] ?? 200
      const headers = { 'x-request-id': input.subarray(0, 40).toString('latin1') }
      const answer = inspectAnswer({ status, headers, body: input, firstByteAt: 0 }, KEY)
      const isSuccess = status < 300
      const body = isSuccess ? input : withoutKey(input)
      const object = objectOf(body)
      if (answer.isJsonObject !== (object !== null)) return `isJsonObject is ${answer.isJsonObject}`
      const wrongUsage = usageWrong(answer.usage, object)
      if (wrongUsage !== null) return wrongUsage
      const line = { hash: 'h'.repeat(32), customId: Buffer.from(ID) }
      return (
        wrongLine(answeredLine(line, answer, 'req_1'), { status, body, object, isSuccess }) ??
        wrongUnanswered(unansweredLine(line, { code: 'c', message: input.toString() }), input.toString())
      )
    },
  }
}

type Parts = ReturnType<typeof answeredLine>
type Facts = { status: number; body: Buffer; object: Record<string, unknown> | null; isSuccess: boolean }

function wrongLine(parts: Parts, { status, body, object, isSuccess }: Facts): string | null {
  const line = Buffer.concat(parts.map((part) => Buffer.from(part)))
  if (!isUtf8(line)) return 'the result line is no UTF-8'
  const text = line.toString()
  if (/[\r\n]/.test(text)) return 'the result line has a line break'
  if (!isSuccess && text.includes(KEY)) return 'the result line shows the key of the engine'
  const { id, custom_id: customId, response, error } = JSON.parse(text)
  if (id !== `batch_req_${'h'.repeat(32)}` || customId !== JSON.parse(ID) || error !== null)
    return 'the result line is of another request'
  if (response.status_code !== status) return 'the status is another'
  if (!/^[\x21-\x7e]{1,128}$/.test(response.request_id)) return 'the request id is not safe to show'
  if (object === null) return isRecord(response.body?.error) ? null : 'what is no object is not told as an error'
  const start = line.indexOf('"body":', line.indexOf('"response":')) + '"body":'.length
  const shown = line.subarray(start, line.byteLength - '},"error":null}'.length)
  const wanted = body.filter((byte) => byte !== 10 && byte !== 13)
  return shown.equals(wanted) ? null : 'the bytes of the answer are others'
}

function wrongUnanswered(parts: Parts, message: string): string | null {
  const text = parts.map((part) => Buffer.from(part).toString()).join('')
  if (/[\r\n]/.test(text)) return 'the line without an answer has a line break'
  const { response, error } = JSON.parse(text)
  return response === null && error.message === message ? null : 'the line without an answer says something else'
}

function withoutKey(body: Buffer): Buffer {
  return Buffer.from(body.toString('latin1').split(KEY).join('****'), 'latin1')
}

function objectOf(body: Buffer): Record<string, unknown> | null {
  if (!Buffer.from(body.toString()).equals(body)) return null
  try {
    const value: unknown = JSON.parse(body.toString())
    return isRecord(value) ? value : null
  } catch {
    return null
  }
}

/** Counts are whole numbers that fit in a record, and those that the answer states. */
function usageWrong(
  found: ReturnType<typeof inspectAnswer>['usage'],
  object: Record<string, unknown> | null,
): string | null {
  const usage = isRecord(object?.usage) ? object.usage : {}
  const stated = usage.prompt_tokens ?? usage.input_tokens
  const isCount = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32
  if (found === null) return isCount(stated) ? 'a stated usage is not taken' : null
  if (found.promptTokens !== stated) return `${found.promptTokens} prompt tokens, stated are ${String(stated)}`
  return Object.values(found).every(isCount) ? null : `a usage that no record can hold: ${JSON.stringify(found)}`
}
