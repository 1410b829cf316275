/**
 * How much text a request body gives the model to read, in UTF-8 bytes: messages, prompt, input and instructions. Images, audio and
 * files are left out, because their bytes say nothing about tokens. Tools are counted by the caller, which knows their span.
 */

/** Guess: an input given as token numbers counts as this many bytes a token, so that a quarter of them is the tokens again. */
export const PROMPT_NUMBER_BYTES = 4

/** UTF-8 bytes of a string as the caller parsed it. */
export type BytesOf = (text: string) => number

export type JsonObject = Readonly<Record<string, unknown>>

export function promptBytesOf(body: JsonObject, bytesOf: BytesOf): number {
  return (
    itemsBytes(body.messages, bytesOf) +
    itemsBytes(body.input, bytesOf) +
    itemsBytes(body.prompt, bytesOf) +
    textBytes(body.instructions, bytesOf)
  )
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A string, or a list of strings, token numbers, lists of token numbers, messages or other items. */
function itemsBytes(value: unknown, bytesOf: BytesOf): number {
  if (!Array.isArray(value)) return textBytes(value, bytesOf)
  let bytes = 0
  for (const item of value) {
    if (typeof item === 'string') bytes += bytesOf(item)
    else if (typeof item === 'number') bytes += PROMPT_NUMBER_BYTES
    else if (Array.isArray(item)) bytes += item.length * PROMPT_NUMBER_BYTES
    else if (isObject(item)) bytes += itemBytes(item, bytesOf)
  }
  return bytes
}

/** A message, an item of a Responses input, or a part of a moderation's input. */
function itemBytes(item: JsonObject, bytesOf: BytesOf): number {
  const { content } = item
  let bytes = textBytes(item.text, bytesOf) + textBytes(item.output, bytesOf)
  bytes += textBytes(item.arguments, bytesOf)
  if (typeof content === 'string') bytes += bytesOf(content)
  else if (Array.isArray(content)) {
    for (const part of content) if (isObject(part)) bytes += textBytes(part.text, bytesOf)
  }
  const calls = item.tool_calls
  if (Array.isArray(calls)) {
    for (const call of calls) {
      const called = isObject(call) ? call.function : undefined
      if (isObject(called)) bytes += textBytes(called.arguments, bytesOf)
    }
  }
  return bytes
}

function textBytes(value: unknown, bytesOf: BytesOf): number {
  return typeof value === 'string' ? bytesOf(value) : 0
}

/** Output tokens that a body allows over all its choices; null when it states no limit. */
export function outputTokensLimitOf(body: JsonObject): number | null {
  const limit = body.max_completion_tokens ?? body.max_tokens ?? body.max_output_tokens
  if (!isCount(limit)) return null
  const choices = body.n
  return limit * (isCount(choices) ? choices : 1)
}

/** Guess: a limit or number of choices beyond a billion is no statement. Keeps the sums exact. */
const COUNT_MAX = 1_000_000_000

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= COUNT_MAX
}
