/**
 * The results of a batch and of all its retries as one: each request with its first success, else its last failure. Memory is flat: ids
 * lie in a temporary file, lines in the files to be, which are gone through once more at the end.
 */
import { rm } from 'node:fs/promises'
import { ApiError } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { readLines } from '../../jsonl/tools/lines.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { contentOf, type Service } from '../foreign/content.ts'
import type { Outcome } from '../foreign/outcome.ts'
import { retryChain } from '../foreign/retry-chain.ts'
import { formatNumber } from '../format.ts'
import { errorsPathOf, noSink } from '../results-sink.ts'
import { createReconciler, outcomes, type Reconciler, type Settled } from '../run/reconcile.ts'
import { readResult, requestIdOf } from '../run/result-row.ts'
import { countsLine } from '../summary.ts'
import { type Allowance, exitCodeOf, extrasOf, type Standing, standingOf } from '../summary-outcome.ts'
import { pasteable } from './batches-options.ts'
import { openStore, type Store } from './run-store.ts'
import { toolDesk } from './tool-files.ts'

export type MergedSettings = {
  /** Null: standard output. */
  path: string | null
  includeErrors: boolean
  allowance: Allowance | null
}

const NEWLINE = Buffer.from('\n')
const FAULTY: readonly Outcome[] = ['failed', 'expired', 'cancelled']

/** @returns the exit code @throws CliError `batch_running` */
export async function writeMerged(
  service: Service,
  batch: WireBatch,
  settings: MergedSettings,
): Promise<number> {
  const { output } = service.context
  const chain = await retryChain(service, batch)
  requireEnded(chain)
  const { path, includeErrors } = settings
  const answers = await openStore(path, output)
  const errorsPath = path === null || includeErrors ? null : errorsPathOf(path)
  const reconciler = createReconciler(toolDesk)
  let errors: Store | null = null
  try {
    errors = errorsPath === null ? null : await openStore(errorsPath, output)
    const faulty = includeErrors ? answers : errors
    await fill({ service, chain, reconciler, answers, faulty })
    const settled = reconciler.settle()
    await answers.sift(settled.kept(includeErrors ? outcomes : ['succeeded']), noSink)
    await errors?.sift(settled.kept(FAULTY), noSink)
    // The errors first: whoever finds the answers in their place finds all of it.
    if (errors !== null && errorsPath !== null) await commitFaulty(errors, { settled, errorsPath })
    await answers.commit()
    return tell(settled, { chain, settings, output, errorsPath })
  } catch (thrown) {
    await errors?.abort()
    await answers.abort()
    throw thrown
  } finally {
    reconciler.close()
  }
}

function requireEnded(chain: readonly WireBatch[]): void {
  const running = chain.filter((batch) => !standingOf(batch).isEnded).map(({ id }) => id)
  if (running.length === 0) return
  throw new CliError(
    'batch_running',
    `${running.join(', ')} still runs: results are merged once all retries have ended.`,
    { exit: 'stillRunning', hint: `wait for it: ${pasteable(['wait', ...running])}` },
  )
}

type Filling = {
  service: Service
  chain: readonly WireBatch[]
  reconciler: Reconciler
  answers: Store
  /** Null: failures are counted and written nowhere. */
  faulty: Store | null
}

/** Of several lines of one request the first counts: so successes come first, in the order of the batches, then failures backwards. */
async function fill({ service, chain, reconciler, answers, faulty }: Filling): Promise<void> {
  for await (const id of requestIds(service, chain)) reconciler.addRequest(id)
  /** Some services leave a refused request among the answers. */
  const mixed = new Set<WireBatch>()
  for (const batch of chain) {
    if (!batch.output_file_id) continue
    const take = (outcome: Outcome): boolean => {
      if (outcome !== 'succeeded') mixed.add(batch)
      return outcome === 'succeeded'
    }
    await addFile(batch, batch.output_file_id, { service, reconciler, store: answers, take })
  }
  const take = (outcome: Outcome): boolean => outcome !== 'succeeded'
  for (const batch of chain.toReversed())
    for (const fileId of [batch.error_file_id, mixed.has(batch) ? batch.output_file_id : null])
      if (fileId) await addFile(batch, fileId, { service, reconciler, store: faulty, take })
}

type Adding = Pick<Filling, 'service' | 'reconciler'> & {
  store: Store | null
  take: (outcome: Outcome) => boolean
}

async function addFile(batch: WireBatch, fileId: string, adding: Adding): Promise<void> {
  const { service, reconciler, store, take } = adding
  const isOwn = extrasOf(batch) !== null
  // Only our server can put lines in the order of the input.
  const content = contentOf(service, fileId, isOwn ? { order: 'input' } : {})
  let unreadable = 0
  for await (const lines of readLines(content)) {
    const held: Buffer[] = []
    for (const line of lines) {
      const row = readResult(line, { isOwn })
      if (row === null) unreadable += 1
      else if (take(row.outcome)) {
        reconciler.addResult(row.customId, row.outcome)
        held.push(line.bytes ?? Buffer.alloc(0), NEWLINE)
      }
    }
    if (held.length > 0) await store?.write(Buffer.concat(held))
  }
  if (unreadable > 0)
    service.context.output.warn(
      `${formatNumber(unreadable, 'line')} of ${fileId} cannot be read and are left out.`,
    )
}

/** Of the first batch, all others run parts of it. */
async function* requestIds(service: Service, chain: readonly WireBatch[]): AsyncGenerator<string> {
  const [first] = chain
  if (first === undefined) return
  try {
    for await (const lines of readLines(contentOf(service, first.input_file_id)))
      for (const line of lines) {
        const id = requestIdOf(line)
        if (id !== null) yield id
      }
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.status !== 404) throw thrown
    throw new CliError(
      'input_gone',
      `The input file ${first.input_file_id} of ${first.id} was deleted, so its requests cannot be held against the results.`,
      {
        exit: 'unexpected',
        hint: `Each batch by itself: ${pasteable(['results', ...chain.map(({ id }) => id)])}`,
      },
    )
  }
}

/** A file of no lines would only be looked into in vain; an older one of that name belongs to other results. */
async function commitFaulty(
  errors: Store,
  { settled, errorsPath }: { settled: Settled; errorsPath: string },
): Promise<void> {
  if (FAULTY.some((outcome) => settled.counts[outcome] > 0)) return errors.commit()
  await errors.abort()
  await rm(errorsPath, { force: true })
}

type Telling = {
  chain: readonly WireBatch[]
  settings: MergedSettings
  output: CommandContext['output']
  errorsPath: string | null
}

function tell(settled: Settled, { chain, settings, output, errorsPath }: Telling): number {
  const { requests: total, counts, missing, duplicates, unknown } = settled
  const unanswered = counts.expired + counts.cancelled
  const cut = counts.expired > 0 ? 'expired' : 'cancelled'
  const standing: Standing = {
    status: unanswered > 0 ? cut : 'completed',
    isEnded: true,
    ...{ total, succeeded: counts.succeeded, failed: counts.failed, unanswered, missing },
  }
  output.say(`${chain.map(({ id }) => id).join(' + ')}:`)
  output.say(`  ${countsLine(standing)}`)
  if (duplicates > 0)
    output.say(`  ${formatNumber(duplicates, 'line')} of requests that have a better or later one left out`)
  if (unknown > 0)
    output.warn(`${formatNumber(unknown, 'line')} of requests that are not in the input left out`)
  if (settings.path !== null)
    output.say(`${formatNumber(counts.succeeded, 'answer')} written to ${settings.path}`)
  if (counts.failed + unanswered > 0 && errorsPath !== null)
    output.say(`failed requests are in ${errorsPath}`)
  return exitCodeOf(standing, settings.allowance)
}
