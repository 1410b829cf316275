/**
 * Counts prompt tokens with the tokeniser of the model, where one is known. The library's tables are large (80 MB of memory for the
 * newest, measured) and are loaded when the first line is counted, only those that are needed.
 */
import type { CountedTokens, ModelShare } from '../domain/file.ts'
import { imageTokens } from './image-tokens.ts'
import type { LineSample } from './line-sample.ts'
import { PROMPT_NUMBER_BYTES } from './prompt-bytes.ts'

export type Encoding = 'o200k_base' | 'o200k_harmony' | 'cl100k_base'

/** The first that fits. */
const encodings: readonly [RegExp, Encoding][] = [
  [/^gpt-oss/, 'o200k_harmony'],
  [/^(chatgpt-)?gpt-(4o|4\.1|4\.5|5)/, 'o200k_base'],
  [/^chatgpt-4o/, 'o200k_base'],
  [/^o[134](-|$)/, 'o200k_base'],
  [/^gpt-(4|3\.5)(-|$)/, 'cl100k_base'],
  [/^text-embedding-(3-|ada-002)/, 'cl100k_base'],
]

/** `openai/gpt-4o` → `gpt-4o`, `ft:gpt-4o-mini:mine` → `gpt-4o-mini:mine`. */
export function plainModel(model: string): string {
  const name = model.slice(model.lastIndexOf('/') + 1)
  return name.startsWith('ft:') ? name.slice('ft:'.length) : name
}

/** @returns null when no tokeniser is known for the model */
export function encodingOf(model: string): Encoding | null {
  const name = plainModel(model)
  return encodings.find(([pattern]) => pattern.test(name))?.[1] ?? null
}

/** Documented by OpenAI for its chat models: what frames a message (its role is a token of it), and what begins the answer. */
const TOKENS_PER_MESSAGE = 4
const TOKENS_PER_ANSWER = 3

/** Counting takes a time that grows with the square of a word (measured: 240 ms for 20,000 letters without a space). */
const PIECE_CHARACTERS_MAX = 1_024

type CountTokens = (text: string) => number

/** @returns the shares, with what the samples of their lines hold */
export async function countSamples(
  shares: readonly ModelShare[],
  samples: readonly LineSample[],
): Promise<ModelShare[]> {
  const counted = new Map<number, CountedTokens>()
  for (const sample of samples) {
    const model = shares[sample.modelNumber]?.model ?? ''
    const encoding = encodingOf(model)
    if (encoding === null) continue
    let sum = counted.get(sample.modelNumber)
    if (sum === undefined) {
      sum = { encoding, lines: 0, promptBytes: 0, promptTokens: 0, otherTokens: 0, imagesUnknown: 0 }
      counted.set(sample.modelNumber, sum)
    }
    addSample(sum, sample, { model: plainModel(model), count: await counterOf(encoding) })
  }
  return shares.map((share, number) => {
    const sum = counted.get(number)
    return sum === undefined ? share : { ...share, counted: sum }
  })
}

function addSample(
  sum: CountedTokens,
  sample: LineSample,
  { model, count }: { model: string; count: CountTokens },
): void {
  sum.lines += 1
  sum.promptBytes += sample.textBytes + sample.numberBytes
  sum.promptTokens += sample.numberBytes / PROMPT_NUMBER_BYTES
  for (const text of sample.texts) for (const piece of piecesOf(text)) sum.promptTokens += count(piece)
  if (sample.messages > 0) sum.otherTokens += sample.messages * TOKENS_PER_MESSAGE + TOKENS_PER_ANSWER
  let known = 0
  for (const image of sample.images) {
    const tokens = imageTokens(model, image)
    if (tokens === null || image.size === null) sum.imagesUnknown += 1
    known += tokens ?? 0
  }
  if (sample.images.length > 0) sum.otherTokens += (known * sample.imagesTotal) / sample.images.length
}

/** Cut in front of a space, which belongs to the word behind it; a longer word is cut anywhere, which costs a token at most. */
export function* piecesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + PIECE_CHARACTERS_MAX)
    const space = end < text.length ? text.lastIndexOf(' ', end) : -1
    if (space > at) end = space
    yield text.slice(at, end)
    at = end
  }
}

const loaded = new Map<Encoding, Promise<CountTokens>>()

function counterOf(encoding: Encoding): Promise<CountTokens> {
  const known = loaded.get(encoding)
  if (known !== undefined) return known
  const counter = load(encoding)
  loaded.set(encoding, counter)
  return counter
}

async function load(encoding: Encoding): Promise<CountTokens> {
  const { countTokens } = await importEncoding(encoding)
  // What looks like a control token is text of a prompt, as it is for an engine.
  const options = { disallowedSpecial: new Set<string>() }
  return (text) => countTokens(text, options)
}

function importEncoding(encoding: Encoding) {
  switch (encoding) {
    case 'o200k_base':
      return import('gpt-tokenizer/encoding/o200k_base')
    case 'o200k_harmony':
      return import('gpt-tokenizer/encoding/o200k_harmony')
    case 'cl100k_base':
      return import('gpt-tokenizer/encoding/cl100k_base')
  }
}
