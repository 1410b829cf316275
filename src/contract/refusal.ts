/** Turns what a schema found into one refusal in OpenAI's wording. */
import type { z } from 'zod'
import {
  METADATA_KEY_CHARACTERS_MAX,
  METADATA_PAIRS_MAX,
  METADATA_VALUE_CHARACTERS_MAX,
  QUOTED_CHARACTERS_MAX,
} from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'

/** @throws RefusedError for the first thing that is wrong */
export function parse<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw issue === undefined
    ? new RefusedError('invalid_request', 'Invalid request.')
    : refusalOf(issue, value)
}

/** @throws RefusedError `invalid_type`, `object_above_max_properties`, `property_name_above_max_length`, `string_above_max_length` */
export function requireMetadata(
  metadata: Record<string, unknown> | null | undefined,
): Record<string, string> | null {
  if (metadata === null || metadata === undefined) return null
  const entries = Object.entries(metadata)
  if (entries.length > METADATA_PAIRS_MAX) {
    throw new RefusedError(
      'object_above_max_properties',
      `Invalid 'metadata': too many properties. Expected an object with at most ${METADATA_PAIRS_MAX} properties, but got an object with ${entries.length} properties instead.`,
      { param: 'metadata' },
    )
  }
  const checked: [string, string][] = entries.map(([key, value]) => {
    const param = `metadata.${quoted(key)}`
    if (key.length > METADATA_KEY_CHARACTERS_MAX) {
      throw new RefusedError(
        'property_name_above_max_length',
        `Invalid property name in 'metadata': name too long. Expected a name with at most ${METADATA_KEY_CHARACTERS_MAX} characters, but got one with ${key.length} characters instead.`,
        { param: 'metadata' },
      )
    }
    if (typeof value !== 'string') {
      throw new RefusedError(
        'invalid_type',
        `Invalid type for '${param}': expected a string, but got ${article(typeOf(value))} instead.`,
        { param },
      )
    }
    if (value.length > METADATA_VALUE_CHARACTERS_MAX) {
      throw new RefusedError(
        'string_above_max_length',
        `Invalid '${param}': string too long. Expected a string with maximum length ${METADATA_VALUE_CHARACTERS_MAX}, but got a string with length ${value.length} instead.`,
        { param },
      )
    }
    return [key, value]
  })
  return Object.fromEntries(checked)
}

function refusalOf(issue: z.core.$ZodIssue, value: unknown): RefusedError {
  const param = issue.path.map(String).join('.')
  const found = issue.path.reduce<unknown>((part, key) => childOf(part, String(key)), value)
  switch (issue.code) {
    case 'invalid_type':
      return found === undefined ? missing(param) : wrongType(param, { expected: issue.expected, found })
    case 'invalid_value':
      return found === undefined
        ? missing(param)
        : wrongValue(param, { values: issue.values.map(String), found })
    case 'unrecognized_keys': {
      const name = quoted([...issue.path.map(String), issue.keys[0] ?? ''].join('.'))
      return new RefusedError('unknown_parameter', `Unknown parameter: '${name}'.`, { param: name })
    }
    case 'too_big':
      return issue.origin === 'string'
        ? tooLong(param, { most: Number(issue.maximum), found })
        : outOfRange(param, { most: Number(issue.maximum), found })
    case 'too_small':
      return found === '' ? empty(param) : outOfRange(param, { least: Number(issue.minimum), found })
    default:
      return new RefusedError('invalid_value', `Invalid '${param}': ${issue.message}.`, {
        param: param === '' ? null : param,
      })
  }
}

function childOf(part: unknown, key: string): unknown {
  return typeof part === 'object' && part !== null && Object.hasOwn(part, key)
    ? (part as Record<string, unknown>)[key]
    : undefined
}

function missing(param: string): RefusedError {
  if (param === '')
    return new RefusedError(
      'invalid_request',
      'We could not parse the body of your request: it must be a JSON object.',
    )
  return new RefusedError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param })
}

const WIRE_TYPES: Readonly<Record<string, string>> = { int: 'integer', number: 'integer', record: 'object' }

function wrongType(param: string, facts: { expected: string; found: unknown }): RefusedError {
  const { expected, found } = facts
  // Every number on this wire is whole.
  const wanted = article(WIRE_TYPES[expected] ?? expected)
  if (param === '') return missing('')
  return new RefusedError(
    'invalid_type',
    `Invalid type for '${param}': expected ${wanted}, but got ${article(typeOf(found))} instead.`,
    { param },
  )
}

function wrongValue(param: string, facts: { values: string[]; found: unknown }): RefusedError {
  const values = facts.values.map((value) => `'${value}'`)
  if (typeof facts.found !== 'string') {
    const wanted =
      values.length > 1 ? `one of ${values.slice(0, -1).join(', ')} or ${values.at(-1)}` : values[0]
    return new RefusedError(
      'invalid_type',
      `Invalid type for '${param}': expected ${wanted}, but got ${article(typeOf(facts.found))} instead.`,
      { param },
    )
  }
  const list = values.length > 1 ? `${values.slice(0, -1).join(', ')}, and ${values.at(-1)}` : values.join('')
  return new RefusedError(
    'invalid_value',
    `Invalid value: '${quoted(facts.found)}'. Supported values are: ${list}.`,
    { param },
  )
}

function outOfRange(param: string, facts: { most?: number; least?: number; found: unknown }): RefusedError {
  const shown = quoted(String(facts.found))
  return facts.most === undefined
    ? new RefusedError(
        'integer_below_min_value',
        `Invalid '${param}': integer below minimum value. Expected a value >= ${facts.least}, but got ${shown} instead.`,
        { param },
      )
    : new RefusedError(
        'integer_above_max_value',
        `Invalid '${param}': integer above maximum value. Expected a value <= ${facts.most}, but got ${shown} instead.`,
        { param },
      )
}

function tooLong(param: string, facts: { most: number; found: unknown }): RefusedError {
  return new RefusedError(
    'string_above_max_length',
    `Invalid '${param}': string too long. Expected a string with maximum length ${facts.most}, but got a string with length ${String(facts.found).length} instead.`,
    { param },
  )
}

function empty(param: string): RefusedError {
  return new RefusedError(
    'empty_string',
    `Invalid '${param}': empty string. Expected a string with minimum length 1, but got an empty string instead.`,
    { param },
  )
}

/** What a caller sent, short and on one line. */
function quoted(text: string): string {
  const line = text.replaceAll(/\p{Cc}/gu, '?')
  return line.length > QUOTED_CHARACTERS_MAX ? `${line.slice(0, QUOTED_CHARACTERS_MAX)}…` : line
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'decimal'
  return typeof value
}

function article(type: string): string {
  if (type === 'null') return 'null'
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`
}
