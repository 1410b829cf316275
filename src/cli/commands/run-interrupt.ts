/** What is said, and done, when a run is interrupted: what runs on, how to come back, how to end it. */
import { ApiError, type Client } from '../../client/client.ts'
import { messageOf } from '../../lib/errors.ts'
import type { CommandContext } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { formatNumber, shellWord } from '../format.ts'
import type { RunState } from '../run/run-state.ts'
import { isEndedStatus } from '../summary-outcome.ts'
import { pasteable } from './batches-options.ts'

/** Guess: batches that are named one by one. */
const SHOWN_MAX = 6

export type Interrupted = {
  context: CommandContext
  client: Client
  /** Null: it had not begun. */
  state: RunState | null
  cancels: boolean
}

/** @returns the exit code */
export async function interrupted({ context, client, state, cancels }: Interrupted): Promise<number> {
  const { output } = context
  const parts = state?.parts() ?? []
  const ids = parts.flatMap(({ batchId }) => batchId ?? [])
  const open = parts.filter(({ batchId }) => batchId === null)
  if (ids.length === 0) {
    const isUnknown = open.some(({ isAsked }) => isAsked)
    output.warn(
      isUnknown
        ? 'A batch was asked for and may have been made: the same command finds it before it asks for another.'
        : 'Nothing was submitted.',
    )
    return exitCode('interrupted')
  }
  if (cancels) {
    for (const id of ids) output.warn(await cancelWords(client, id))
    return exitCode('interrupted')
  }
  // What becomes of it is told when its server has stopped.
  if (context.isServerOwn === true) return exitCode('interrupted')
  output.warn(
    `Stopped watching. ${ids.length === 1 ? 'The batch keeps' : 'The batches keep'} running on the server.`,
  )
  if (open.length > 0)
    output.warn(
      `${formatNumber(open.length, 'part')} of ${parts.length} were not submitted; the same command does it.`,
    )
  output.warn(`  come back: ${sameCommand()}`)
  output.warn(`  watch:     ${pasteable(['batches', 'watch', ...ids.slice(0, SHOWN_MAX)])}`)
  for (const id of ids.slice(0, SHOWN_MAX))
    output.warn(`  cancel:    ${pasteable(['batches', 'cancel', id])}`)
  return exitCode('interrupted')
}

async function cancelWords(client: Client, id: string): Promise<string> {
  try {
    const { status } = await client.batches.cancel(id)
    return `${id}: ${isEndedStatus(status) ? status : 'cancelled; answers so far are kept'}`
  } catch (thrown) {
    // It had ended before.
    if (thrown instanceof ApiError && thrown.status === 409)
      return `${id}: had ended before it could be cancelled`
    return `${id}: could not be cancelled (${messageOf(thrown)}): ${pasteable(['batches', 'cancel', id])}`
  }
}

/** As it was typed; with --new it would not come back. */
export function sameCommand(): string {
  return ['dw', ...process.argv.slice(2).filter((word) => word !== '--new')].map(shellWord).join(' ')
}
