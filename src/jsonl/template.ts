/** Requests made from one template answer at similar length: same fields, same instructions, same shape of the answer. */
import { createHash } from 'node:crypto'
import { isObject, type JsonObject } from './prompt-bytes.ts'

const NAME_CHARACTERS = 16
/** What every request has for itself. */
const ownFields: ReadonlySet<string> = new Set(['messages', 'input', 'prompt', 'user', 'metadata', 'seed'])

/** @returns a name of the template that this body was made from */
export function templateOf(body: JsonObject): string {
  const { instructions, response_format, text, reasoning, reasoning_effort } = body
  const shape = [
    Object.keys(body)
      .filter((name) => !ownFields.has(name))
      .toSorted(),
    systemTexts(body.messages ?? body.input),
    { instructions, response_format, text, reasoning, reasoning_effort },
  ]
  return createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, NAME_CHARACTERS)
}

function systemTexts(items: unknown): unknown[] {
  if (!Array.isArray(items)) return []
  return items
    .filter((item) => isObject(item) && (item.role === 'system' || item.role === 'developer'))
    .map((item: JsonObject) => item.content)
}
