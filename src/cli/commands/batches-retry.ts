import { randomUUID } from 'node:crypto'
import { ApiError } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { GROUP_ID_PATTERN } from '../../domain/failure.ts'
import { RETRY_GROUPS_MAX } from '../../domain/limits.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { submittedEvent } from '../events.ts'
import { retryHere } from '../foreign/retry.ts'
import { createFallback } from '../foreign/unknown-route.ts'
import { formatNumber } from '../format.ts'
import { extrasOf, standingOf } from '../summary-outcome.ts'
import { batchView, pasteable, requireId } from './batches-options.ts'
import { flagOption, listOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = requireId(input)
  const includeCancelled = flagOption(input, 'includeCancelled')
  const groups = groupsOption(input)
  const { output, signal } = context
  const client = await context.client()
  const source = await client.batches.get(id, signal)
  if (groups === null) output.say(`${id}: ${classWords(source, includeCancelled)}`)
  const fallback = createFallback(() =>
    output.say(`${context.serverUrl()} cannot retry batches: a new one is made here from its files.`),
  )
  const here = async (): Promise<Told> => {
    // Holds what does not fit in memory, and tidies up at the end of the process.
    const { toolDesk } = await import('./tool-files.ts')
    const { batch, lines } = await retryHere({
      ...{ client, context, source, includeCancelled, groups },
      desk: toolDesk,
    })
    const words = lines === null ? 'already: no second one was made' : 'again'
    return { batch, words: `${lines === null ? 'them' : requestsWords(lines)} ${words}` }
  }
  const ask = async (): Promise<Told> => {
    const batch = await client.batches.retry(id, {
      ...{ includeCancelled, idempotencyKey: randomUUID() },
      ...(groups !== null && { groups }),
    })
    if (groups === null)
      return { batch, words: `${requestsWords(chosenLines(source, includeCancelled))} again` }
    return { batch, words: `the requests of ${formatNumber(groups.length, 'group')} again` }
  }
  // Another server that retries may know no groups and pass over them: it would run all of it again.
  const canAsk = groups === null || (await client.isDw())
  const { batch, words } = await (canAsk ? fallback.either(id, ask, here) : here()).catch(
    (thrown: unknown) => {
      throw explained(thrown, { source, includeCancelled })
    },
  )
  output.event(submittedEvent(batch))
  output.object(batch, batchView(output))
  output.say(`${batch.id} runs ${words}.`)
  output.say(`Watch it: ${pasteable(['batches', 'watch', batch.id])}`)
  return 0
}

/** The ids of `--group`, sorted, each once; null without any. @throws CliError usage */
export function groupsOption(input: CommandInput): string[] | null {
  const ids = [...new Set(listOption(input, 'group').map((id) => id.trim().toLowerCase()))].toSorted()
  const wrong = ids.find((id) => !GROUP_ID_PATTERN.test(id))
  if (wrong !== undefined)
    throw usageError(`--group '${wrong}' is no group of failures.`, '`dw errors ID` shows them.')
  if (ids.length > RETRY_GROUPS_MAX)
    throw usageError(`--group: ${ids.length} groups; the limit is ${RETRY_GROUPS_MAX}.`)
  return ids.length === 0 ? null : ids
}

function requestsWords(lines: number): string {
  return `${formatNumber(lines, 'request')} of it`
}

/** What is said of the batch that was made. */
type Told = { batch: WireBatch; words: string }

type Classes = { failed: number; expired: number; cancelled: number }

function classesOf(batch: WireBatch): Classes {
  const { failed, unanswered, status } = standingOf(batch)
  const counts = extrasOf(batch)?.counts ?? {
    expired: status === 'expired' ? unanswered : 0,
    cancelled: status === 'cancelled' ? unanswered : 0,
  }
  return { failed, ...counts }
}

function chosenLines(batch: WireBatch, includeCancelled: boolean): number {
  const { failed, expired, cancelled } = classesOf(batch)
  return failed + expired + (includeCancelled ? cancelled : 0)
}

/** `4 failed, 2 expired, 3 cancelled (left out; --include-cancelled takes them along)`. */
function classWords(batch: WireBatch, includeCancelled: boolean): string {
  const { failed, expired, cancelled } = classesOf(batch)
  const words = [`${failed} failed`, `${expired} expired`, `${cancelled} cancelled`]
  const isLeftOut = cancelled > 0 && !includeCancelled
  return `${words.join(', ')}${isLeftOut ? ' (cancelled ones are left out; --include-cancelled takes them along)' : ''}`
}

function explained(thrown: unknown, facts: { source: WireBatch; includeCancelled: boolean }): unknown {
  const { source, includeCancelled } = facts
  const isRunning = !standingOf(source).isEnded
  const watch = `wait for it: ${pasteable(['batches', 'watch', source.id])}`
  if (thrown instanceof CliError && thrown.code === 'batch_running')
    return new CliError(thrown.code, thrown.message, { exit: thrown.exit, hint: watch })
  if (thrown instanceof ApiError && thrown.code === 'unknown_group') {
    const hint = `\`${pasteable(['errors', source.id])}\` lists the groups there are.`
    return new CliError(thrown.code, thrown.message, { exit: 'usage', hint })
  }
  if (!(thrown instanceof ApiError) || thrown.status !== 409) return thrown
  const code = thrown.code ?? 'refused'
  if (isRunning) {
    const message = `${source.id} still runs (${source.status}); only an ended batch can be retried.`
    return new CliError(code, message, { exit: 'stillRunning', hint: watch })
  }
  if (code === 'retry_running') return new CliError(code, thrown.message, { exit: 'stillRunning' })
  const hasCancelled = source.status === 'cancelled' && !includeCancelled
  return new CliError(code, thrown.message, {
    exit: 'unexpected',
    ...(hasCancelled && { hint: pasteable(['batches', 'retry', source.id, '--include-cancelled']) }),
  })
}
