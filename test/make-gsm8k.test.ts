import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requestLines } from '../tools/make-gsm8k.ts'

async function* questions(...lines: string[]): AsyncGenerator<string> {
  yield* lines
}

const lineWith = (id: string, question: string): string =>
  `{"custom_id":"${id}","method":"POST","url":"/v1/chat/completions",` +
  `"body":{"model":"sim/chat","messages":[{"role":"user","content":"${question}"}]}}\n`

test('each question becomes one request line with an id by number, and blank lines are skipped', async () => {
  const made = []
  const given = questions(
    '{"question":"Janet\\u2019s ducks?"}',
    '',
    '{"question":"Why \\"so\\"?","answer":"x"}',
  )
  for await (const line of requestLines(given, { model: 'sim/chat' })) made.push(line)
  assert.deepEqual(made, [lineWith('gsm8k-0001', 'Janet’s ducks?'), lineWith('gsm8k-0002', 'Why \\"so\\"?')])
})

test('a line without a question is named', async () => {
  const made = requestLines(questions('{"question":"a"}', '{"text":"b"}'), { model: 'm' })
  await made.next()
  await assert.rejects(made.next(), /line 2 has no text field "question"/)
})
