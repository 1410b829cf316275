/** Checks replies against the published schema of the wire. */
import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

export type WireSchema = {
  /** @returns what is wrong with the value, one line per finding; empty when it fits the definition */
  problems(definition: string, value: unknown): string[]
}

export function readWireSchema(path: string): WireSchema {
  const schema = JSON.parse(readFileSync(path, 'utf8')) as { $id: string }
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema(schema)
  const compiled = new Map<string, ValidateFunction>()
  return {
    problems(definition, value) {
      let validate = compiled.get(definition)
      if (validate === undefined) {
        validate = ajv.compile({ $ref: `${schema.$id}#/$defs/${definition}` })
        compiled.set(definition, validate)
      }
      if (validate(value)) return []
      return (validate.errors ?? []).map(
        (error) => `${definition}${error.instancePath}: ${error.message ?? ''}`,
      )
    },
  }
}
