/** Answers of an engine of any bytes: their result line is one line of JSON that holds them. */
import { inspectAnswer, oneLine } from '../../src/engine/answer.ts'
import { answeredLine } from '../../src/engine/result-line.ts'
import type { Target } from './target.ts'

const statuses = [200, 201, 400, 404, 500]

export function answerTarget(): Target {
  return {
    name: 'answers',
    seeds: [
      Buffer.from(
        '{"id":"x","choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
      ),
      Buffer.from('{\r\n "error": {"message": "no", "type": "t", "code": null}\n}'),
      Buffer.from('<html>busy</html>'),
    ],
    run(input) {
      const status = statuses[input.byteLength % statuses.length] ?? 200
      const headers = { 'x-request-id': input.subarray(0, 40).toString('latin1') }
      const answer = inspectAnswer({ status, headers, body: input, firstByteAt: 0 })
      const parts = answeredLine({ hash: 'h'.repeat(32), customId: Buffer.from('"a"') }, answer, 'req_1')
      const text = Buffer.concat(parts.map((part) => Buffer.from(part))).toString('utf8')
      if (text.includes('\n')) return 'a result line has a line break'
      const line = JSON.parse(text)
      if (line.response.status_code !== status) return 'the status is another'
      if (
        answer.isJsonObject &&
        JSON.stringify(line.response.body) !== JSON.stringify(JSON.parse(oneLine(input).toString()))
      )
        return 'the answer is another'
      return null
    },
  }
}
