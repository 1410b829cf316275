import { CliError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import type { View } from '../output.ts'
import { jsonSchemaOf, type SchemaName, schemaNames, summaryOfSchema } from '../schemas/schemas.ts'
import { nearest } from '../suggest.ts'

type Entry = { name: SchemaName; id: string; summary: string }

const view: View<Entry> = {
  columns: [
    { title: 'Schema', value: ({ name }) => name },
    { title: 'Of', value: ({ summary }) => summary },
  ],
}

export async function run({ output }: CommandContext, input: CommandInput): Promise<number> {
  const [named] = input.arguments
  if (named === undefined) {
    output.rows(
      schemaNames.map((name) => ({ name, id: jsonSchemaOf(name).$id, summary: summaryOfSchema(name) })),
      view,
    )
    return 0
  }
  const name = schemaNames.find((candidate) => candidate === named)
  if (name === undefined) {
    const near = nearest(named, schemaNames)
    throw new CliError('unknown_schema', `There is no schema '${named}'.`, {
      exit: 'notFound',
      hint: near === null ? '`dw schema` lists them.' : `Did you mean ${near}?`,
    })
  }
  const schema = jsonSchemaOf(name)
  if (output.format === 'json') output.json(schema)
  else output.line(JSON.stringify(schema, null, 2))
  return 0
}
