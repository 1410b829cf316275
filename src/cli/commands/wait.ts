/** Waits until batches have ended or have come so far, and ends with the exit code that says how. */
import { createInterface } from 'node:readline'
import type { WireBatch } from '../../contract/wire.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { standingOf } from '../summary-outcome.ts'
import { follow } from './batches-follow.ts'
import { allowanceOption, requireIds } from './batches-options.ts'
import { flagOption, textOption } from './input.ts'
import { createHooks } from './wait-hooks.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const isEnough = goalOption(input)
  const timeoutMs = timeoutOption(input)
  const allowance = allowanceOption(input, context.env)
  const ids = await idsOf(input)
  const hooks = createHooks({
    ...{ context, allowance },
    command: textOption(input, 'exec'),
    isNotified: flagOption(input, 'notify'),
  })
  return follow(ids, {
    ...{ context, client: await context.client(), allowance, timeoutMs, hooks },
    ...(isEnough !== null && { isEnough }),
  })
}

/** Guess: nobody waits for more at once. */
const IDS_MAX = 10_000

/** As `requireIds`, and those of standard input for `-`. */
async function idsOf(input: CommandInput): Promise<string[]> {
  if (!input.arguments.includes('-')) return requireIds(input)
  if (process.stdin.isTTY === true)
    throw usageError(
      '- reads ids from standard input, which is a terminal.',
      'Name the ids, or pipe them in.',
    )
  const read: string[] = []
  for await (const line of createInterface({ input: process.stdin })) {
    if (!line.trimStart().startsWith('#')) read.push(line)
    if (read.length > IDS_MAX) throw usageError(`Standard input holds more than ${IDS_MAX} lines.`)
  }
  return requireIds({ ...input, arguments: [...input.arguments.filter((id) => id !== '-'), ...read] })
}

/** @returns null for the end @throws CliError usage */
function goalOption(input: CommandInput): ((batch: WireBatch) => boolean) | null {
  const text = textOption(input, 'for') ?? 'done'
  if (text === 'done') return null
  if (text === 'first-result') return (batch) => standingOf(batch).succeeded > 0
  const percent = Number(/^percent=(\d{1,3}(?:\.\d+)?)%?$/.exec(text)?.[1] ?? Number.NaN)
  if (!(percent >= 0 && percent <= 100))
    throw usageError(
      `--for takes done, percent=N or first-result, not '${text}'.`,
      'For example --for percent=50',
    )
  return (batch) => {
    const { total, succeeded, failed } = standingOf(batch)
    return total > 0 && (succeeded + failed) * 100 >= percent * total
  }
}

const unitMs: Readonly<Record<string, number>> = {
  '': 1_000,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
/** Timers take no more. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

/** @returns null without any @throws CliError usage */
function timeoutOption(input: CommandInput): number | null {
  const text = textOption(input, 'timeout')
  if (text === null) return null
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([smhd]?)/g)]
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ''] ?? 0), 0)
  const isWhole = parts.map(([part]) => part).join('') === text
  if (text !== '' && isWhole && ms > 0 && ms <= TIMEOUT_MS_MAX) return Math.round(ms)
  throw usageError(`--timeout '${text}' is no time up to 24d.`, 'For example --timeout 30s, 90m, 2h or 1h30m')
}
