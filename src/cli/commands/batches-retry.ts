import { randomUUID } from 'node:crypto'
import { ApiError } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatNumber } from '../format.ts'
import { extrasOf, standingOf } from '../summary-outcome.ts'
import { batchView, pasteable, requireId } from './batches-options.ts'
import { flagOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = requireId(input)
  const includeCancelled = flagOption(input, 'includeCancelled')
  const { output, signal } = context
  const client = await context.client()
  const source = await client.batches.get(id, signal)
  output.say(`${id}: ${classWords(source, includeCancelled)}`)
  const retried = await client.batches
    .retry(id, { includeCancelled, idempotencyKey: randomUUID() })
    .catch((thrown: unknown) => {
      throw explained(thrown, { context, source, includeCancelled })
    })
  output.object(retried, batchView(output))
  output.say(
    `${retried.id} runs ${formatNumber(chosenLines(source, includeCancelled), 'request')} of it again.`,
  )
  output.say(`Watch it: ${pasteable(['batches', 'watch', retried.id])}`)
  return 0
}

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

function explained(
  thrown: unknown,
  facts: { context: CommandContext; source: WireBatch; includeCancelled: boolean },
): unknown {
  if (!(thrown instanceof ApiError)) return thrown
  const { context, source, includeCancelled } = facts
  const code = thrown.code ?? 'refused'
  if (thrown.status === 404 || thrown.status === 405) {
    return new CliError('no_retry_here', `${context.serverUrl()} cannot retry batches: ${thrown.message}`, {
      exit: 'unexpected',
      hint: pasteable(['batches', 'results', source.id, '-o', 'results.jsonl']),
    })
  }
  if (thrown.status !== 409) return thrown
  if (!standingOf(source).isEnded) {
    return new CliError(
      code,
      `${source.id} still runs (${source.status}); only an ended batch can be retried.`,
      {
        exit: 'stillRunning',
        hint: `wait for it: ${pasteable(['batches', 'watch', source.id])}`,
      },
    )
  }
  const hasCancelled = source.status === 'cancelled' && !includeCancelled
  return new CliError(code, thrown.message, {
    exit: 'unexpected',
    ...(hasCancelled && { hint: pasteable(['batches', 'retry', source.id, '--include-cancelled']) }),
  })
}
