/** What was used over time, as a table, JSON or CSV. */
import type { WireUsageGroup } from '../../contract/wire.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatCount, formatInstant } from '../format.ts'
import type { View } from '../output.ts'
import { flagOption, textOption } from './input.ts'

const counts = [
  'requests',
  'succeeded',
  'failed',
  'expired',
  'cancelled',
  'calls',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'usage_unknown',
] as const

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const by = textOption(input, 'by') ?? 'model'
  const report = await (await context.client()).usage({
    by,
    since: textOption(input, 'since'),
    until: textOption(input, 'until'),
    bucket: textOption(input, 'bucket'),
    signal: context.signal,
  })
  const dimensions = by.split(',').filter((name) => name !== '')
  if (flagOption(input, 'csv')) {
    output.line(csvLine(['bucket_start', ...dimensions, ...counts, 'cost', 'currency']))
    for (const group of report.data) {
      const start = group.bucket_start === null ? '' : new Date(group.bucket_start * 1_000).toISOString()
      const values = dimensions.map((name) => group.by[name] ?? '')
      const numbers = counts.map((name) => String(group[name]))
      output.line(csvLine([start, ...values, ...numbers, group.cost ?? '', report.currency]))
    }
  } else
    output.rows(
      report.data,
      viewOf(dimensions, { currency: report.currency, hasBuckets: textOption(input, 'bucket') !== null }),
    )
  const { total } = report
  const cost = total.cost === null ? 'no price for all of it' : `${total.cost} ${report.currency}`
  output.say(
    `${formatCount(total.requests)} requests, ${formatCount(total.prompt_tokens)} prompt and ${formatCount(total.completion_tokens)} completion tokens; ${cost}`,
  )
  if (total.usage_unknown > 0)
    output.say(`${formatCount(total.usage_unknown)} answers stated no usage: their tokens are unknown.`)
  if (report.live_batches_left_out > 0)
    output.warn(`${formatCount(report.live_batches_left_out)} running batches are not in these sums yet.`)
  return 0
}

function viewOf(
  dimensions: readonly string[],
  { currency, hasBuckets }: { currency: string; hasBuckets: boolean },
): View<WireUsageGroup> {
  const number = (title: string, value: (group: WireUsageGroup) => number) => ({
    title,
    value: (group: WireUsageGroup) => formatCount(value(group)),
    isNumber: true,
  })
  return {
    columns: [
      ...(hasBuckets
        ? [
            {
              title: 'From',
              value: ({ bucket_start }: WireUsageGroup) =>
                bucket_start === null ? '-' : formatInstant(bucket_start * 1_000),
            },
          ]
        : []),
      ...dimensions.map((name) => ({ title: name, value: (group: WireUsageGroup) => group.by[name] ?? '-' })),
      number('Requests', ({ requests }) => requests),
      number('Failed', ({ failed }) => failed),
      number('Prompt', ({ prompt_tokens }) => prompt_tokens),
      number('Completion', ({ completion_tokens }) => completion_tokens),
      { title: `Cost ${currency}`, value: ({ cost }) => cost ?? 'not set', isNumber: true },
    ],
    id: ({ by }) => Object.values(by).join(' '),
  }
}

/** RFC 4180: fields that hold a separator, a quote or a line break are quoted. A field that a spreadsheet would run is made text. */
function csvLine(fields: readonly string[]): string {
  return fields
    .map((field) => (/^[=+\-@\t\r]/.test(field) ? `'${field}` : field))
    .map((field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join(',')
}
