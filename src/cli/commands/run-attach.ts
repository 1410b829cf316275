/** What became of an earlier run of the same input: which of its batches are gone on with, and which are made anew. */
import { ApiError, type Client } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { formatDuration, formatNumber } from '../format.ts'
import type { RunRecord } from '../run/journal.ts'
import { pasteable } from './batches-options.ts'

export type Earlier = {
  record: RunRecord
  /** By part; null: it has none, or none that the server knows. */
  batches: readonly (WireBatch | null)[]
  /** Parts whose batch will never bring what is asked for. */
  isSpent: readonly boolean[]
}

const SPENT: ReadonlySet<string> = new Set(['failed', 'expired', 'cancelling', 'cancelled'])

/** Reads only. */
export async function lookAtEarlier(
  record: RunRecord,
  { client, context }: { client: Client; context: Pick<CommandContext, 'signal'> },
): Promise<Earlier> {
  const batches: (WireBatch | null)[] = []
  for (const { batchId } of record.parts)
    batches.push(batchId === null ? null : await batchOrNull(client, batchId, context.signal))
  const isSpent = record.parts.map(({ batchId }, place) => {
    const batch = batches[place] ?? null
    return batchId !== null && (batch === null || SPENT.has(batch.status))
  })
  return { record, batches, isSpent }
}

async function batchOrNull(client: Client, id: string, signal: AbortSignal): Promise<WireBatch | null> {
  try {
    return await client.batches.get(id, signal)
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.status === 404) return null
    throw thrown
  }
}

/** What is gone on with, and what is not, in the first lines that a person sees. */
export function earlierWords(
  { record, batches, isSpent }: Earlier,
  { now, isServerOwn }: { now: number; isServerOwn: boolean },
): string[] {
  const kept = batches.flatMap((batch, place) => (batch === null || isSpent[place] === true ? [] : [batch]))
  const [first] = kept
  const lines: string[] = []
  if (first !== undefined) {
    const age = formatDuration(now - first.created_at * 1_000)
    const names =
      kept.length === 1
        ? first.id
        : `${first.id} and ${formatNumber(kept.length - 1, 'more batch', 'more batches')}`
    const isDone = kept.every(({ status }) => status === 'completed')
    const rest = isDone
      ? 'completed: its results are fetched again, nothing is run'
      : `${first.status}: going on with it`
    lines.push(`${names}, made ${age} ago of the same requests, is ${rest}. To run them anew: --new`)
  } else if (!isSpent.includes(true)) {
    lines.push(
      `Going on with a run begun ${formatDuration(now - record.startedAt)} ago that has no batch yet.`,
    )
  }
  const spent = record.parts.flatMap(({ batchId }, place) =>
    isSpent[place] === true ? [{ batchId, place }] : [],
  )
  for (const { batchId, place } of spent.slice(0, SPENT_SHOWN_MAX))
    lines.push(spentWords(batchId ?? '', batches[place] ?? null, isServerOwn))
  if (spent.length > SPENT_SHOWN_MAX)
    lines.push(`and ${formatNumber(spent.length - SPENT_SHOWN_MAX, 'more batch', 'more batches')} like that`)
  return lines
}

/** Guess: more of a kind is a number. */
const SPENT_SHOWN_MAX = 5

function spentWords(id: string, batch: WireBatch | null, isServerOwn: boolean): string {
  if (batch === null) return `${id} of an earlier run is not there any more: starting another batch.`
  const retry =
    batch.status === 'failed' || isServerOwn
      ? ''
      : ` (to run only its rest: ${pasteable(['batches', 'retry', id])})`
  return `${id} of an earlier run is ${batch.status}: starting another batch${retry}.`
}

/**
 * Two processes that submit the same run would submit it twice.
 * @throws CliError `run_busy`
 */
export function requireIdle({ pid, parts }: RunRecord): void {
  if (pid === process.pid || parts.every(({ batchId }) => batchId !== null) || !isAlive(pid)) return
  throw new CliError('run_busy', `Another dw process (${pid}) is submitting this very run.`, {
    exit: 'unexpected',
    hint: 'Run the command again once its batch is there: it then goes on with that one. Where the process is another program, add --new.',
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // Gone, or of another user, who has another state folder.
    return false
  }
}
