import type { WireBatch } from '../../contract/wire.ts'
import { BATCH_LIST_DEFAULT, BATCH_LIST_MAX } from '../../domain/limits.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { isEndedStatus } from '../summary-outcome.ts'
import { batchView, pasteable } from './batches-options.ts'
import { flagOption, integerOption, textOption } from './input.ts'

/** Guess: a table is drawn per so many rows, so that `--all` shows the first at once and holds one page. */
const PAGE_ROWS = 100

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const limit = integerOption(input, 'limit', { min: 1, max: BATCH_LIST_MAX }) ?? BATCH_LIST_DEFAULT
  const activeFirst = flagOption(input, 'activeFirst')
  const client = await context.client()
  const { output, signal } = context
  if (flagOption(input, 'all')) {
    let after: string | null = null
    for (let pages = 0; ; pages += 1) {
      const page = await client.batches.list({ limit: PAGE_ROWS, after, activeFirst, signal })
      if (page.data.length > 0 || pages === 0) output.rows(page.data, batchView(output))
      const last = page.data.at(-1)?.id
      // A server that promises more and gives nothing new would be asked for ever.
      if (!page.has_more || last === undefined || last === after) return 0
      after = last
    }
  }
  const page = await client.batches.list({ limit, after: textOption(input, 'after'), activeFirst, signal })
  output.rows(page.data, batchView(output))
  if (activeFirst && !isActiveFirst(page.data))
    output.warn(`${context.serverUrl()} does not put running batches first; the order is its own.`)
  const last = page.data.at(-1)
  if (page.has_more && last !== undefined) {
    const words = ['batches', 'list', ...(activeFirst ? ['--active-first'] : []), '--limit', String(limit)]
    output.say(`There are more: ${pasteable([...words, '--after', last.id])}`)
  }
  return 0
}

/** A service that does not know the order answers in its own. */
function isActiveFirst(batches: readonly WireBatch[]): boolean {
  const firstEnded = batches.findIndex(({ status }) => isEndedStatus(status))
  return firstEnded === -1 || batches.slice(firstEnded).every(({ status }) => isEndedStatus(status))
}
