/**
 * Fetches the results of all batches of a run and holds them against its requests. Answers and errors appear whole or not at all, each
 * request in one line; what is doubled or belongs to no request is set aside, and requests without a line are named.
 */
import { rm } from 'node:fs/promises'
import type { WireBatch } from '../../contract/wire.ts'
import { type Line, readLines } from '../../jsonl/tools/lines.ts'
import { contentOf } from '../foreign/content.ts'
import type { Outcome } from '../foreign/outcome.ts'
import { errorsPathOf, noSink, openFileSinkLate, type Sink } from '../results-sink.ts'
import { createReconciler, outcomes, type Reconciler, type Settled } from '../run/reconcile.ts'
import { readResult, requestIdOf } from '../run/result-row.ts'
import { isUnchanged, readSource } from '../run/source.ts'
import { createFailureGroups, type FailureGroup, type FailureGroups, failureOf } from '../summary-groups.ts'
import { extrasOf } from '../summary-outcome.ts'
import type { Job } from './run-send.ts'
import { openStore, type Store } from './run-store.ts'
import { toolDesk } from './tool-files.ts'

export type RunResults = Pick<Settled, 'requests' | 'counts' | 'missing' | 'duplicates' | 'unknown'> & {
  /** Lines that are no result of anything. */
  unreadable: number
  /** The first of those without a line. */
  missingIds: readonly string[]
  groups: readonly FailureGroup[]
  /** As the answers state them; null where the server counts them. */
  tokens: { input: number; output: number; unknownLines: number } | null
  /** Files beside the answers; null where there is none. */
  paths: { errors: string | null; missing: string | null; extra: string | null }
}

const NEWLINE = Buffer.from('\n')
/** Guess: a person looks at a few. */
const MISSING_SHOWN_MAX = 10
/** Guess: an error line that is longer tells nothing that can be grouped. */
const FAILURE_BYTES_MAX = 1024 * 1024
const FAULTY: readonly Outcome[] = ['failed', 'expired', 'cancelled']

type Targets = { answers: Store; errors: Store | null; extra: Sink; missing: Sink }

/** @throws ApiError, UnreachableError, TroubleError; nothing is in its place then */
export async function fetchResults(job: Job, batches: readonly WireBatch[]): Promise<RunResults> {
  const { context, settings } = job
  const { outputPath, includeErrors } = settings
  const paths = pathsBeside(outputPath, includeErrors)
  const reconciler = createReconciler(toolDesk)
  const targets: Targets = {
    answers: await openStore(outputPath, context.output),
    errors: paths.errors === null ? null : await openStore(paths.errors, context.output),
    extra: paths.extra === null ? noSink : openFileSinkLate(paths.extra),
    missing: paths.missing === null ? noSink : openFileSinkLate(paths.missing),
  }
  const { answers, errors, extra, missing } = targets
  try {
    for await (const id of requestIds(job, batches)) reconciler.addRequest(id)
    const read = await readAll(job, batches, { reconciler, targets })
    const settled = reconciler.settle()
    const { duplicates, unknown } = settled
    if (duplicates + unknown > 0) {
      await answers.sift(settled.kept(includeErrors ? outcomes : ['succeeded']), extra)
      await errors?.sift(settled.kept(FAULTY), extra)
    }
    const missingIds = await nameMissing(job, batches, { settled, missing })
    const faulty = FAULTY.reduce((sum, outcome) => sum + settled.counts[outcome], 0)
    // The answers last: whoever finds them in their place finds all of it.
    await missing.commit()
    await extra.commit()
    if (errors !== null) await commitIfAny(errors, { lines: faulty, path: paths.errors ?? '' })
    await answers.commit()
    return {
      ...settled,
      ...read,
      missingIds,
      paths: {
        errors: faulty > 0 ? paths.errors : null,
        missing: settled.missing > 0 ? paths.missing : null,
        extra: duplicates + unknown + read.unreadable > 0 ? paths.extra : null,
      },
    }
  } catch (thrown) {
    for (const sink of [missing, extra, errors, answers]) await sink?.abort()
    throw thrown
  } finally {
    reconciler.close()
  }
}

/** Files that a run writes beside the one of its answers. */
export function pathsBeside(path: string | null, includeErrors: boolean): RunResults['paths'] {
  if (path === null) return { errors: null, missing: null, extra: null }
  const stem = path.replace(/\.jsonl$/, '')
  return {
    errors: includeErrors ? null : errorsPathOf(path),
    missing: `${stem}.missing.txt`,
    extra: `${stem}.extra.jsonl`,
  }
}

/** A file of no lines would only be looked into in vain; an older one of that name belongs to other results. */
async function commitIfAny(store: Store, { lines, path }: { lines: number; path: string }): Promise<void> {
  if (lines > 0) return store.commit()
  await store.abort()
  await rm(path, { force: true })
}

/** In the order of the input. Read from the server where the input was changed meanwhile. */
async function* requestIds(job: Job, batches: readonly WireBatch[]): AsyncGenerator<string> {
  const { input, client, context } = job
  const { source } = input
  const isHere = isUnchanged(source)
  if (!isHere) context.output.say(`${source.name} was changed since: its requests are read from the server.`)
  const whole = { start: 0, end: source.bytes }
  const contents = isHere
    ? [readSource(source, whole)]
    : batches.map(({ input_file_id }) => contentOf({ client, context }, input_file_id))
  for (const content of contents)
    for await (const lines of readLines(content))
      for (const line of lines) {
        const id = requestIdOf(line)
        if (id !== null) yield id
      }
}

type Read = Pick<RunResults, 'unreadable' | 'groups' | 'tokens'>
type Sums = {
  unreadable: number
  groups: FailureGroups
  tokens: { input: number; output: number; unknownLines: number }
}

async function readAll(
  job: Job,
  batches: readonly WireBatch[],
  into: { reconciler: Reconciler; targets: Targets },
): Promise<Read> {
  const { client, context } = job
  const sums: Sums = {
    unreadable: 0,
    groups: createFailureGroups(),
    tokens: { input: 0, output: 0, unknownLines: 0 },
  }
  let isOwn = true
  for (const batch of batches) {
    const isOwnBatch = extrasOf(batch) !== null
    isOwn &&= isOwnBatch
    // Only our server can put lines in the order of the input. The ids are absent where a service leaves out what is null.
    const query = isOwnBatch ? ({ order: 'input' } as const) : {}
    for (const fileId of [batch.output_file_id, batch.error_file_id]) {
      if (!fileId) continue
      for await (const lines of readLines(contentOf({ client, context }, fileId, query)))
        await takeLines(lines, {
          ...into,
          sums,
          isOwn: isOwnBatch,
          includeErrors: job.settings.includeErrors,
        })
    }
  }
  return { unreadable: sums.unreadable, groups: sums.groups.list(), tokens: isOwn ? null : sums.tokens }
}

type Taking = { reconciler: Reconciler; targets: Targets; sums: Sums; isOwn: boolean; includeErrors: boolean }

/** Puts each line where it belongs by what it says, whichever file it came in. */
async function takeLines(lines: readonly Line[], taking: Taking): Promise<void> {
  const { reconciler, targets, sums, isOwn, includeErrors } = taking
  const held: Record<'answers' | 'errors' | 'extra', Buffer[]> = { answers: [], errors: [], extra: [] }
  for (const line of lines) {
    const row = readResult(line, { isOwn })
    const bytes = line.bytes ?? Buffer.alloc(0)
    if (row === null) {
      sums.unreadable += 1
      held.extra.push(bytes, NEWLINE)
      continue
    }
    const isSuccess = row.outcome === 'succeeded'
    reconciler.addResult(row.customId, row.outcome)
    held[isSuccess || includeErrors ? 'answers' : 'errors'].push(bytes, NEWLINE)
    if (!isSuccess) {
      const failure = failureOf(bytes.toString('utf8', 0, FAILURE_BYTES_MAX))
      if (failure !== null) sums.groups.add(failure)
    } else if (row.usage === null) sums.tokens.unknownLines += 1
    else {
      sums.tokens.input += row.usage.input
      sums.tokens.output += row.usage.output
    }
  }
  if (held.answers.length > 0) await targets.answers.write(Buffer.concat(held.answers))
  if (held.errors.length > 0) await targets.errors?.write(Buffer.concat(held.errors))
  if (held.extra.length > 0) await targets.extra.write(Buffer.concat(held.extra))
}

/** Writes the ids of requests without a line. @returns the first of them */
async function nameMissing(
  job: Job,
  batches: readonly WireBatch[],
  { settled, missing }: { settled: Settled; missing: Sink },
): Promise<string[]> {
  const first: string[] = []
  if (settled.missing === 0) return first
  let index = 0
  for await (const id of requestIds(job, batches)) {
    if (settled.isMissing(index)) {
      if (first.length < MISSING_SHOWN_MAX) first.push(id)
      // One line an id, whatever is in it.
      await missing.write(Buffer.from(`${/[\r\n"]/.test(id) ? JSON.stringify(id) : id}\n`))
    }
    index += 1
  }
  return first
}
