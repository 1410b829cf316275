/** `--fields a,b.c`: of each object only what was named. Pure. */
import { CliError } from './cli-error.ts'
import { nearest } from './suggest.ts'

/** @returns the value at a dotted path; undefined where there is none */
function at(value: unknown, path: string): unknown {
  let part = value
  for (const name of path.split('.')) {
    if (typeof part !== 'object' || part === null || !Object.hasOwn(part, name)) return undefined
    // A JSON object has string keys only.
    part = (part as Record<string, unknown>)[name]
  }
  return part
}

/** What a row has not is null: the fields of all rows are the same. */
export function pickFields(row: unknown, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(fields.map((field) => [field, at(row, field) ?? null]))
}

/** @throws CliError unknown_field when no row has the field */
export function requireFields(rows: readonly unknown[], fields: readonly string[]): void {
  if (rows.length === 0) return
  const unknown = fields.find((field) => rows.every((row) => at(row, field) === undefined))
  if (unknown === undefined) return
  const known = [
    ...new Set(rows.flatMap((row) => (typeof row === 'object' && row !== null ? Object.keys(row) : []))),
  ]
  const near = nearest(unknown, known)
  throw new CliError('unknown_field', `There is no field '${unknown}'. There are: ${known.join(', ')}.`, {
    exit: 'usage',
    ...(near !== null && { hint: `Did you mean ${near}?` }),
  })
}

/** A cell for people, or for tab-separated text. */
export function fieldText(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The same as an expression of jq, for lines that pass as they are. */
export function fieldsExpression(fields: readonly string[]): string {
  const parts = fields.map((field) => {
    const path = field.split('.').map((name) => `[${JSON.stringify(name)}]?`)
    return `${JSON.stringify(field)}: .${path.join('')}`
  })
  return `{${parts.join(', ')}}`
}
