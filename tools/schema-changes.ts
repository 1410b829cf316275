/** Tells whether a published JSON Schema still holds for what is printed now: fields may come, never go or change. Pure. */

/** A schema as parsed JSON. */
export type Schema = { readonly [name: string]: unknown }

/** @returns what a reader of the old form would miss in the new one, one sentence each; empty when only something was added */
export function breakingChanges(before: Schema, after: Schema, at = ''): string[] {
  const where = at === '' ? 'the line' : at
  if (typeWords(before) !== typeWords(after))
    return [`${where} was ${typeWords(before)}, is ${typeWords(after)}`]
  const changes: string[] = []
  const [old, now] = [objectOf(before.properties), objectOf(after.properties)]
  const required = new Set(listOf(after.required))
  for (const [name, schema] of Object.entries(old)) {
    const path = `${at}.${name}`
    const next = now[name]
    if (next === undefined) changes.push(`${path} is gone`)
    else changes.push(...breakingChanges(objectOf(schema), objectOf(next), path))
    if (next !== undefined && listOf(before.required).includes(name) && !required.has(name))
      changes.push(`${path} was always there, is not now`)
  }
  if (before.items !== undefined)
    changes.push(...breakingChanges(objectOf(before.items), objectOf(after.items), `${at}[]`))
  const variants = optionsOf(before)
  for (const [place, variant] of optionsOf(after).entries())
    if (variants[place] !== undefined) changes.push(...breakingChanges(variants[place], variant, at))
  const values = new Set(listOf(after.enum))
  for (const value of listOf(before.enum))
    if (!values.has(value)) changes.push(`${where} is never ${JSON.stringify(value)} now`)
  return changes
}

/** `number or null`, `string "file"`. Which words an enum holds is another matter: some may be added. */
function typeWords(schema: Schema): string {
  const options = optionsOf(schema)
  if (options.length > 0) return options.map(typeWords).toSorted(byText).join(' or ')
  const type = Array.isArray(schema.type)
    ? listOf(schema.type).map(textOf).toSorted(byText).join(' or ')
    : textOf(schema.type ?? 'anything')
  return schema.const === undefined ? type : `${type} ${JSON.stringify(schema.const)}`
}

function optionsOf(schema: Schema): Schema[] {
  return Array.isArray(schema.anyOf) ? schema.anyOf.map(objectOf) : []
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function byText(a: string, b: string): number {
  return a.localeCompare(b)
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function objectOf(value: unknown): Schema {
  // Anything with members can be read by name.
  return typeof value === 'object' && value !== null ? (value as Schema) : {}
}
