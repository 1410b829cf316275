/** Why requests of batches failed: in groups of one kind, or the failed lines themselves. Nothing is held but the groups. */
import type { WireBatch } from '../../contract/wire.ts'
import { createFailureMatcher, type FailureMatcher } from '../../domain/failure.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { failedLines } from '../failed-lines.ts'
import { likelyFix } from '../failure-fixes.ts'
import type { Service } from '../foreign/content.ts'
import { cutTo, formatCount, formatNumber } from '../format.ts'
import type { View } from '../output.ts'
import { inputFaults } from '../summary.ts'
import { createFailureGroups, type FailureGroup, kindWords } from '../summary-groups.ts'
import { standingOf, stateWords } from '../summary-outcome.ts'
import { pasteable, requireIds } from './batches-options.ts'
import { groupsOption } from './batches-retry.ts'
import { flagOption } from './input.ts'

type Asked = { service: Service; matcher: FailureMatcher | null; isLines: boolean }

/** Exit 0 whatever failed: whoever asks for the errors has them. */
export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const groups = groupsOption(input)
  const ids = requireIds(input)
  const client = await context.client()
  // Every batch is looked up first: an unknown id among them prints nothing.
  const batches: WireBatch[] = []
  for (const id of ids) batches.push(await client.batches.get(id, context.signal))
  const matcher = groups === null ? null : createFailureMatcher(groups)
  const asked = { service: { client, context }, matcher, isLines: flagOption(input, 'lines') }
  for (const batch of batches) await tellOne(batch, asked)
  const [unknown] = matcher?.unmet() ?? []
  if (unknown !== undefined)
    throw new CliError('unknown_group', `No failed request of ${ids.join(', ')} is in group '${unknown}'.`, {
      exit: 'usage',
      hint: `\`${pasteable(['errors', ...ids])}\` lists the groups there are.`,
    })
  return 0
}

const NEWLINE = Buffer.from('\n')

async function tellOne(batch: WireBatch, { service, matcher, isLines }: Asked): Promise<void> {
  const { output } = service.context
  output.say(`${batch.id}: ${stateWords(batch)}`)
  for (const words of inputFaults(batch)) output.say(`  ${words}`)
  const groups = createFailureGroups()
  let [lines, unreadable] = [0, 0]
  for await (const { bytes, failure, place } of failedLines(service, batch)) {
    lines += 1
    if (failure === null) unreadable += 1
    if (matcher !== null && !matcher.test(failure)) continue
    if (isLines && bytes !== null) await output.bytes(Buffer.concat([bytes, NEWLINE]))
    if (!isLines && failure !== null) groups.add(failure, place)
  }
  if (!isLines) tellGroups(batch, { groups, lines, output })
  tellRest(batch, { lines, unreadable, output })
}

type Output = CommandContext['output']

function tellGroups(
  { id }: WireBatch,
  {
    groups,
    lines,
    output,
  }: { groups: ReturnType<typeof createFailureGroups>; lines: number; output: Output },
): void {
  const list = groups.list()
  const rows = list.map((group) => rowOf(group, { id, lines }))
  const others = groups.total - list.reduce((sum, { count }) => sum + count, 0)
  if (others > 0) rows.push(rowOfOthers(others, { id, lines }))
  if (rows.length > 0 || output.format === 'table') output.rows(rows, groupView)
  if (others > 0)
    output.warn(
      `${formatNumber(others, 'failure')} of further kinds are one row: only the first ${formatCount(list.length)} kinds are told apart.`,
    )
  // Programs find both in every row.
  for (const row of output.format === 'json' ? [] : rows.slice(0, FIXES_SHOWN)) {
    if (row.group === null) continue
    output.say(`\n${row.group}: ${row.fix ?? 'no usual fix is known'}`)
    output.say(`  ${row.retry}\n  ${pasteable(['errors', id, '--group', row.group, '--lines'])}`)
  }
}

/** Guess: more would push the table off the screen. */
const FIXES_SHOWN = 5

/** What is known to be lacking is said, so that nobody takes the groups for all of it. */
function tellRest(
  batch: WireBatch,
  { lines, unreadable, output }: { lines: number; unreadable: number; output: Output },
): void {
  const { isEnded, failed, unanswered, missing } = standingOf(batch)
  if (unreadable > 0)
    output.warn(
      `${formatNumber(unreadable, 'failed line')} of ${batch.id} cannot be read and stand in no group.`,
    )
  if (!isEnded) {
    output.warn(
      `${batch.id} still runs: why requests failed is told once it has ended (${formatCount(failed)} failed so far).`,
    )
    return
  }
  const expected = failed + unanswered
  if (lines < failed)
    output.warn(
      `${formatNumber(failed - lines, 'failed request')} of ${batch.id} have no line that says why (${formatCount(lines)} of ${formatCount(expected)} have one).`,
    )
  if (missing > 0) output.warn(`${formatNumber(missing, 'request')} of ${batch.id} have no line anywhere.`)
}

/** A line of --json; fields are only ever added. */
type GroupRow = {
  object: 'failure_group'
  batch_id: string
  group: string | null
  count: number
  share: number
  status: number | null
  code: string | null
  message: string
  first_custom_id: string | null
  first_line: number | null
  fix: string | null
  retry: string | null
}

function rowOf(group: FailureGroup, { id, lines }: { id: string; lines: number }): GroupRow {
  return {
    object: 'failure_group',
    batch_id: id,
    group: group.id,
    count: group.count,
    share: shareOf(group.count, lines),
    status: group.status,
    code: group.code,
    message: group.example,
    first_custom_id: group.first?.customId ?? null,
    first_line: group.first?.lineNumber ?? null,
    fix: likelyFix(group),
    retry: pasteable(['retry', id, '--group', group.id]),
  }
}

function rowOfOthers(count: number, { id, lines }: { id: string; lines: number }): GroupRow {
  return {
    object: 'failure_group',
    batch_id: id,
    group: null,
    count,
    share: shareOf(count, lines),
    ...{ status: null, code: null, message: 'other groups', first_custom_id: null, first_line: null },
    ...{ fix: null, retry: null },
  }
}

function shareOf(count: number, lines: number): number {
  return lines === 0 ? 0 : Number((count / lines).toFixed(4))
}

/** Guess: what a table row shows of a message; JSON has all of it that is kept. */
const MESSAGE_COLUMNS_MAX = 70

const groupView: View<GroupRow> = {
  columns: [
    { title: 'Group', value: ({ group }) => group ?? '-' },
    { title: 'Count', value: ({ count }) => formatCount(count), isNumber: true },
    {
      title: 'Share',
      value: ({ share }) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%`,
      isNumber: true,
    },
    { title: 'What', value: (row) => (row.group === null ? '-' : kindWords(row)) },
    { title: 'First message', value: ({ message }) => cutTo(message, MESSAGE_COLUMNS_MAX) },
    { title: 'First request', value: ({ first_custom_id }) => first_custom_id ?? '-' },
  ],
  plain: ({ group, count, status, code, message }) => [
    ...[group ?? '', String(count), String(status ?? ''), code ?? '', message],
  ],
  id: ({ group }) => group ?? '-',
}
