import type { WireFile } from '../../contract/wire.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, integerOption, textOption } from './input.ts'
import { fileView } from './views.ts'

const LIMIT_DEFAULT = 20
const LIMIT_MAX = 10_000
const PURPOSE_DEFAULT = 'batch'
/** Rows gathered for one table with --all. */
const TABLE_ROWS = 100

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const named = textOption(input, 'purpose') ?? PURPOSE_DEFAULT
  const purpose = named === 'all' ? null : named
  const client = await context.client()
  if (flagOption(input, 'all')) {
    let rows: WireFile[] = []
    for await (const file of client.files.listAll({ purpose, signal: context.signal })) {
      rows.push(file)
      if (rows.length < TABLE_ROWS) continue
      output.rows(rows, fileView)
      rows = []
    }
    if (rows.length > 0) output.rows(rows, fileView)
    return 0
  }
  const limit = integerOption(input, 'limit', { min: 1, max: LIMIT_MAX }) ?? LIMIT_DEFAULT
  const page = await client.files.list({
    purpose,
    limit,
    after: textOption(input, 'after'),
    signal: context.signal,
  })
  output.rows(page.data, fileView)
  if (page.has_more)
    output.say(`More: dw files list --purpose ${named} --limit ${limit} --after ${page.last_id}`)
  return 0
}
