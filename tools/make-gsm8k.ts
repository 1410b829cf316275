/**
 * Turns questions (JSON lines with a field `question`) into request lines, streaming.
 *
 *   npm run make:gsm8k -- QUESTIONS.jsonl [OUTPUT.jsonl] [--model MODEL]
 *
 * Without OUTPUT the lines go to standard output. The model is `sim/chat` unless stated.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'

/** One request line per question, in order, newline included. Ids count from 1: `gsm8k-0001`. */
export async function* requestLines(
  questions: AsyncIterable<string>,
  options: { model: string },
): AsyncGenerator<string> {
  let number = 0
  for await (const line of questions) {
    if (line.trim() === '') continue
    number += 1
    yield `${JSON.stringify({
      custom_id: `gsm8k-${String(number).padStart(4, '0')}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model: options.model, messages: [{ role: 'user', content: questionOf(line, number) }] },
    })}\n`
  }
}

export function questionOf(line: string, lineNumber: number): string {
  const parsed: unknown = JSON.parse(line)
  if (typeof parsed === 'object' && parsed !== null && 'question' in parsed) {
    if (typeof parsed.question === 'string') return parsed.question
  }
  throw new Error(`line ${lineNumber} has no text field "question"`)
}

/** Reads the questions at one path and writes the requests to another, or to any stream. */
export async function makeRequests(options: {
  from: string
  to: string | Writable
  model: string
}): Promise<void> {
  const questions = createInterface({
    input: createReadStream(options.from),
    crlfDelay: Number.POSITIVE_INFINITY,
  })
  const target = typeof options.to === 'string' ? createWriteStream(options.to) : options.to
  await pipeline(Readable.from(requestLines(questions, { model: options.model })), target, {
    end: typeof options.to === 'string',
  })
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { model: { type: 'string', default: 'sim/chat' } },
  })
  const [from, to] = positionals
  if (from === undefined) {
    console.error('usage: npm run make:gsm8k -- QUESTIONS.jsonl [OUTPUT.jsonl] [--model MODEL]')
    process.exitCode = 2
  } else {
    await makeRequests({ from, to: to ?? process.stdout, model: values.model })
  }
}
