/** Text, JSON and vectors that look like a model's, drawn from a seeded source. */
import type { Random } from '../lib/random.ts'

const openings = ['Sure.', 'Here is a short answer:', 'In brief:', 'Good question.', 'Step by step:', 'Yes.']
const subjects = [
  'the total',
  'this approach',
  'the second step',
  'a careful reader',
  'the original text',
  'each group',
  'the remaining amount',
  'the first option',
]
const verbs = [
  'depends on',
  'follows from',
  'adds up to',
  'is close to',
  'explains',
  'changes with',
  'covers',
]
const objects = [
  'the given numbers',
  'what was asked before',
  'one half of the sum',
  'the time of day',
  'a simple rule',
  'three smaller parts',
  'the price per unit',
  'the wording of the question',
]

function pick(random: Random, list: readonly string[]): string {
  return list[Math.floor(random.float() * list.length)] ?? ''
}

/** @returns tokens to be joined without anything between them; at least one. */
export function fillerTokens(random: Random, tokensWanted: number): string[] {
  const tokens = splitTokens(pick(random, openings))
  while (tokens.length < tokensWanted) {
    const sentence = ` ${pick(random, subjects)} ${pick(random, verbs)} ${pick(random, objects)}.`
    tokens.push(...splitTokens(sentence))
  }
  return tokens
}

/** A token is a word with the white space before it: near enough to a tokeniser's count for a simulation. */
export function splitTokens(text: string): string[] {
  return text.match(/\s*[^\s]{1,8}|\s+$/g) ?? []
}

/** Guess: four characters to a token, as for English text. */
export function countPromptTokens(text: string): number {
  return Math.max(1, Math.ceil(text.length / 4))
}

/** Guess: deeper schemas are cut off with null. */
const SCHEMA_DEPTH_MAX = 12
const SCHEMA_ITEMS_MAX = 32

/** A value that fits a JSON schema of the kinds that structured output allows. */
export function valueOfSchema(schema: unknown, random: Random, depth = 0, root: unknown = schema): unknown {
  if (!isObject(schema) || depth > SCHEMA_DEPTH_MAX) return null
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return drawn(schema.enum, random)
  if (typeof schema.$ref === 'string') {
    return valueOfSchema(resolve(schema.$ref, root), random, depth + 1, root)
  }
  for (const word of ['anyOf', 'oneOf', 'allOf']) {
    const options = schema[word]
    if (Array.isArray(options) && options.length > 0)
      return valueOfSchema(options[0], random, depth + 1, root)
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  switch (type ?? (isObject(schema.properties) ? 'object' : 'string')) {
    case 'object': {
      const properties = isObject(schema.properties) ? schema.properties : {}
      const entries = Object.entries(properties)
      return Object.fromEntries(
        entries.map(([name, inner]) => [name, valueOfSchema(inner, random, depth + 1, root)]),
      )
    }
    case 'array': {
      const length = Math.min(Math.max(numberOr(schema.minItems, 1), 1), SCHEMA_ITEMS_MAX)
      return Array.from({ length }, () => valueOfSchema(schema.items, random, depth + 1, root))
    }
    case 'integer':
      return Math.floor(numberBetween(schema, random))
    case 'number':
      return Math.round(numberBetween(schema, random) * 100) / 100
    case 'boolean':
      return random.float() < 0.5
    case 'null':
      return null
    default:
      return `${pick(random, subjects)} ${pick(random, verbs)} ${pick(random, objects)}`
  }
}

function numberBetween(schema: Record<string, unknown>, random: Random): number {
  const min = numberOr(schema.minimum, 0)
  const max = Math.max(min, numberOr(schema.maximum, min + 100))
  return min + random.float() * (max - min)
}

function resolve(reference: string, root: unknown): unknown {
  let found: unknown = root
  for (const word of reference.replace(/^#\/?/, '').split('/').filter(Boolean)) {
    found = isObject(found) ? found[word] : null
  }
  return found
}

function drawn(list: readonly unknown[], random: Random): unknown {
  return list[Math.floor(random.float() * list.length)]
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise
}

/** A vector of length 1. */
export function unitVector(random: Random, dimensions: number): Float32Array {
  const vector = Float32Array.from({ length: dimensions }, () => random.float() * 2 - 1)
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)) || 1
  return vector.map((value) => value / length)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Text anywhere in messages, content parts, lists of strings; lists of numbers count as tokens. */
export function textIn(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return 'tok '
  if (Array.isArray(value)) return value.map(textIn).join('\n')
  if (!isObject(value)) return ''
  return textIn(value.content ?? value.text ?? '')
}
