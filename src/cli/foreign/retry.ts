/** Retries a batch where the server cannot: the requests without a success go into a new file, byte for byte, and into a new batch. */
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { ApiError } from '../../client/client.ts'
import type { WireBatch, WireFile } from '../../contract/wire.ts'
import { createFailureMatcher, selectionIdOf } from '../../domain/failure.ts'
import { METADATA_PAIRS_MAX } from '../../domain/limits.ts'
import { type Desk, temporaryPath } from '../../jsonl/tools/desk.ts'
import { readLines } from '../../jsonl/tools/lines.ts'
import { assert } from '../../lib/errors.ts'
import { CliError } from '../cli-error.ts'
import { formatNumber } from '../format.ts'
import { createByteProgress } from '../progress-bytes.ts'
import { isEndedStatus } from '../summary-outcome.ts'
import { contentOf, copied, objectsOf, type Service } from './content.ts'
import { createBatchOnce } from './create-batch.ts'
import { findBatch } from './find-batch.ts'
import { chooseRetry, type RetryChoice } from './retry-choice.ts'

/** Metadata of a retry: the id of the batch whose requests it runs again. Part of what other versions of this program rely on. */
export const RETRY_OF = 'dw_retry_of'
/** And which groups of failures those are (`selectionIdOf`); absent: all. */
const RETRY_GROUPS = 'dw_retry_groups'

export type RetryHere = Service & {
  desk: Desk
  source: WireBatch
  includeCancelled: boolean
  /** Ids of groups of failures, sorted, each once; null for all. */
  groups: readonly string[] | null
}

export type Retried = {
  batch: WireBatch
  /** Null: a retry of it runs already, and nothing was made. */
  lines: number | null
}

/** @throws CliError `batch_running`, `retry_running`, `nothing_to_retry`, `unknown_group`, `input_gone`, `ambiguous_ids`; ApiError, UnreachableError */
export async function retryHere(options: RetryHere): Promise<Retried> {
  const { client, context, source } = options
  requireAnswered(source)
  const running = await findRunning(options)
  if (running !== null) {
    requireSame(options, running)
    return { batch: running, lines: null }
  }
  const path = temporaryPath(options.desk)
  let choice: RetryChoice | null = null
  try {
    choice = await choose(options, path)
    tellOddities(options, choice)
    requireChosen(source, choice)
    const file = await uploadChosen(options, { path, choice })
    const batch = await createBatchOnce(options, {
      inputFileId: file.id,
      endpoint: source.endpoint,
      completionWindow: source.completion_window,
      metadata: metadataOf(options),
      idempotencyKey: crypto.randomUUID(),
      signal: context.signal,
    }).catch(async (thrown: unknown) => {
      // Refused for good: nobody will use the upload. When it stays after all, it costs no more than its place.
      if (thrown instanceof ApiError) await client.files.delete(file.id).catch(() => null)
      throw thrown
    })
    return { batch, lines: choice.chosen }
  } finally {
    choice?.close()
    await rm(path, { force: true })
  }
}

/** Guess: a hundred pages. Whoever has made more batches since then is told that the search ended. */
const BATCHES_LOOKED_MAX = 10_000

async function findRunning(options: RetryHere): Promise<WireBatch | null> {
  const { source, context } = options
  const { batch, isWhole } = await findBatch(options, {
    isWanted: ({ metadata, status }) => metadata?.[RETRY_OF] === source.id && !isEndedStatus(status),
    origin: source,
    lookedMax: BATCHES_LOOKED_MAX,
  })
  if (batch === null && !isWhole)
    context.output.warn(
      `Only the first ${BATCHES_LOOKED_MAX} batches were searched for a retry of ${source.id} that runs.`,
    )
  return batch
}

/** Whoever asks for other requests must not take the retry that runs for theirs. */
function requireSame({ source, groups }: RetryHere, running: WireBatch): void {
  if ((running.metadata?.[RETRY_GROUPS] ?? null) === (groups === null ? null : selectionIdOf(groups))) return
  const message = `${running.id} runs other failed requests of ${source.id}: retry these once it has ended.`
  throw new CliError('retry_running', message, { exit: 'stillRunning' })
}

/** The rules of our server. */
function requireAnswered(source: WireBatch): void {
  if (!isEndedStatus(source.status)) {
    const message = `${source.id} still runs (${source.status}); only an ended batch can be retried.`
    throw new CliError('batch_running', message, { exit: 'stillRunning' })
  }
  if (source.status === 'failed')
    throw nothingToRetry(
      `${source.id} did not validate, so nothing ran: mend the file and create a new batch.`,
    )
  if (source.output_file_id || source.error_file_id) return
  const file = source.input_file_id
  const said =
    source.status === 'completed'
      ? 'has neither answers nor errors that could be read'
      : `was ${source.status} before it started, so nothing ran`
  throw nothingToRetry(`${source.id} ${said}: create a new batch of file ${file}.`)
}

function requireChosen(source: WireBatch, { counts, chosen, unusable }: RetryChoice): void {
  if (unusable > 0) {
    const message = `${formatNumber(unusable, 'request')} of ${source.input_file_id} cannot be told apart by custom_id, so what became of them is not known.`
    throw new CliError('ambiguous_ids', message, { exit: 'invalidInput' })
  }
  if (chosen > 0) return
  const cancelled =
    counts.cancelled === 0 ? '' : ` ${formatNumber(counts.cancelled, 'request')} of it were cancelled.`
  throw nothingToRetry(
    `${source.id} has no failed, expired or missing requests.${cancelled}`,
    counts.cancelled === 0 ? null : 'Add --include-cancelled to run those again.',
  )
}

function nothingToRetry(message: string, hint: string | null = null): CliError {
  return new CliError('nothing_to_retry', message, { exit: 'unexpected', ...(hint !== null && { hint }) })
}

/** Afterwards the input lies in a file at `path`. */
async function choose(options: RetryHere, path: string): Promise<RetryChoice> {
  const { source, desk, includeCancelled } = options
  const groups = options.groups === null ? null : createFailureMatcher(options.groups)
  const results = [source.output_file_id, source.error_file_id].filter(
    (id) => typeof id === 'string' && id !== '',
  )
  const choice = await chooseRetry({
    desk,
    includeCancelled,
    groups,
    input: objectsOf(copied(inputOf(options), path)),
    // Ids by the filter.
    results: results.map((id) => objectsOf(contentOf(options, id as string))),
    missingAs: source.status === 'expired' || source.status === 'cancelled' ? source.status : 'missing',
  })
  const [unknown] = groups?.unmet() ?? []
  if (unknown === undefined) return choice
  choice.close()
  throw new CliError('unknown_group', `No failed request of ${source.id} is in group '${unknown}'.`, {
    exit: 'usage',
    hint: `\`dw errors ${source.id}\` lists them.`,
  })
}

async function* inputOf(options: RetryHere): AsyncGenerator<Uint8Array> {
  const { source } = options
  try {
    yield* contentOf(options, source.input_file_id)
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.status !== 404) throw thrown
    const message = `The input file ${source.input_file_id} of ${source.id} is not there any more: upload it again to run it.`
    throw new CliError('input_gone', message, { exit: 'unexpected' })
  }
}

function tellOddities(
  { context, source, groups }: RetryHere,
  { counts, unreadable, unknown }: RetryChoice,
): void {
  const { output } = context
  if (counts.missing > 0 && groups === null)
    output.warn(
      `${formatNumber(counts.missing, 'request')} of ${source.id} have no line anywhere; they run again.`,
    )
  if (unreadable > 0)
    output.warn(
      `${formatNumber(unreadable, 'line')} of its results cannot be read; they count for no request.`,
    )
  if (unknown > 0) output.warn(`${formatNumber(unknown, 'line')} of its results belong to no request.`)
}

async function uploadChosen(
  { client, context, source }: RetryHere,
  { path, choice }: { path: string; choice: RetryChoice },
): Promise<WireFile> {
  const name = `${source.id}_retry.jsonl`
  const progress = createByteProgress(context.output, { label: `sending ${name}`, total: 0 })
  try {
    return await client.files.upload({
      name,
      content: () => chosenLines(path, choice),
      idempotencyKey: crypto.randomUUID(),
      onProgress: progress.update,
      signal: context.signal,
    })
  } finally {
    progress.end()
  }
}

const READ_BYTES = 256 * 1024
const NEWLINE = Buffer.from('\n')

async function* chosenLines(path: string, choice: RetryChoice): AsyncGenerator<Uint8Array> {
  let sent = 0
  for await (const lines of readLines(createReadStream(path, { highWaterMark: READ_BYTES }))) {
    const chosen = lines.filter(({ lineNumber }) => choice.isChosen(lineNumber))
    if (chosen.length === 0) continue
    sent += chosen.length
    yield Buffer.concat(chosen.flatMap(({ bytes }) => (bytes === null ? [] : [bytes, NEWLINE])))
  }
  assert(sent === choice.chosen, `${sent} of ${choice.chosen} requests were found again`)
}

/** What the origin has, and which batch that is. */
function metadataOf({ source, context, groups }: RetryHere): Record<string, string> {
  const { [RETRY_OF]: _of, [RETRY_GROUPS]: _groups, ...kept } = source.metadata ?? {}
  const added = {
    [RETRY_OF]: source.id,
    ...(groups !== null && { [RETRY_GROUPS]: selectionIdOf(groups) }),
  }
  if (Object.keys(kept).length + Object.keys(added).length > METADATA_PAIRS_MAX) {
    context.output.warn(
      `${source.id} has ${Object.keys(kept).length} pairs of metadata, so the new batch cannot name it: ${RETRY_OF}=${source.id} is left out.`,
    )
    return kept
  }
  return { ...kept, ...added }
}
