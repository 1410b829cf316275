import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { commandMap } from '../src/cli/command-map.ts'
import { commands } from '../src/cli/commands.ts'
import { jsonSchemaOf, schemaNames } from '../src/cli/schemas/schemas.ts'
import { schemaPath } from '../tools/make-cli-docs.ts'
import { breakingChanges, type Schema } from '../tools/schema-changes.ts'

test('R13: what is published of a schema still holds', () => {
  const changes = schemaNames.flatMap((name) => {
    const published: Schema = JSON.parse(readFileSync(schemaPath(name), 'utf8'))
    return breakingChanges(published, jsonSchemaOf(name)).map((change) => `${name}: ${change}`)
  })
  assert.deepEqual(changes, [])
})

test('R13: a schema that was published is never taken away', () => {
  const published = readdirSync('docs/schemas').map((name) => name.replace(/\.json$/, ''))
  assert.deepEqual(published.toSorted(), schemaNames.toSorted())
})

test('R13: a field that is removed, renamed, retyped or no longer always there is noticed; one that is added is not', () => {
  const before = jsonSchemaOf('batch') as Schema
  type Node = {
    properties: Record<string, Node>
    required: string[]
    type: unknown
    enum: string[]
    anyOf: Node[]
    items: Node
  }
  const changed = (change: (schema: Node) => void): string[] => {
    const after = structuredClone(before)
    change(after as Node)
    return breakingChanges(before, after)
  }
  assert.deepEqual(
    changed(() => undefined),
    [],
  )
  assert.deepEqual(
    changed((schema) => (schema.properties.more = { type: 'string' } as Node)),
    [],
  )
  assert.deepEqual(
    changed((schema) => delete schema.properties.id),
    ['.id is gone'],
  )
  assert.deepEqual(
    changed((schema) => {
      schema.properties.state = schema.properties.status as Node
      delete schema.properties.status
    }),
    ['.status is gone'],
  )
  assert.deepEqual(
    changed((schema) => (schema.properties.created_at = { type: 'string' } as Node)),
    ['.created_at was number, is string'],
  )
  assert.deepEqual(
    changed((schema) => schema.required.shift()),
    ['.id was always there, is not now'],
  )
  assert.deepEqual(
    changed((schema) => schema.properties.status?.enum.pop()),
    ['.status is never "cancelled" now'],
  )
  assert.deepEqual(
    changed((schema) => delete schema.properties.request_counts?.properties.failed),
    ['.request_counts.failed is gone'],
  )
  assert.deepEqual(
    changed((schema) => delete schema.properties.errors?.anyOf[0]?.properties.data?.items.properties.line),
    ['.errors.data[].line is gone'],
  )
})

test('R13: every command names schemas that there are', () => {
  const known = new Set<string>([...schemaNames, 'bytes'])
  const unknown = commands.flatMap(({ path, prints }) =>
    (prints ?? []).filter((name) => !known.has(name)).map((name) => `${path.join(' ')}: ${name}`),
  )
  assert.deepEqual(unknown, [])
})

test('R26: the map of all commands fits its schema', () => {
  const validate = new Ajv2020({ strict: false }).compile(jsonSchemaOf('command-map'))
  assert.ok(validate(JSON.parse(JSON.stringify(commandMap()))), JSON.stringify(validate.errors))
})
