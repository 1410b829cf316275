/**
 * Many requests as one call: uploaded, made into a batch, watched, and their results read as they become durable. One run reads with
 * the memory of one line and of an `IdSet`; nothing is kept for a caller who does not keep it.
 *
 * On a server of ours the output file is read while it grows, from an exact line on; on any other service once the batch has ended.
 * Every `custom_id` of the input comes out exactly once: succeeded, failed, or missing where the service gave no result for it.
 */
import type { WireBatch, WireFile } from '../contract/wire.ts'
import type { ContentReply, UploadRequest } from './client.ts'
import { type CreateCalls, createOnce } from './create-once.ts'
import { ApiError, isPassing } from './errors.ts'
import { type Place, readLines } from './file-lines.ts'
import { createIdSet, type IdSet } from './id-set.ts'
import { createPatience, patiently } from './patience.ts'
import { BadResultError, BatchFailedError, DetachedError } from './run-errors.ts'
import { encodeRequests, isRepeatable, type RunRequests, type Sent } from './run-requests.ts'
import { sleep } from './transport.ts'

export type ReadOptions = {
  /** Ends the reading with a `DetachedError`; the batch goes on, unless `onAbort` says otherwise. */
  signal?: AbortSignal
  onAbort?: 'detach' | 'cancel'
  /** Told of the batch at each look at it. */
  onProgress?: (batch: WireBatch) => void
  /** Between two looks. By default quick at first, then once a second. */
  lookMs?: number
}

export type RunOptions = ReadOptions & {
  /** Of requests without a `url`, and of the batch: by default what the first request names, else `/v1/chat/completions`. */
  endpoint?: string
  /** By default `24h`. */
  completionWindow?: string
  metadata?: Record<string, string>
  /** Of the input file. */
  filename?: string
  /** Only our server knows it: the same key and input give the same batch. */
  idempotencyKey?: string
}

export type RunResponse = { status_code: number; request_id: string | null; body: unknown }

export type RunResult =
  | { custom_id: string; outcome: 'succeeded'; response: RunResponse; error: null }
  | {
      custom_id: string
      /** Also what expired or was cancelled: `error.code` tells. */
      outcome: 'failed'
      response: RunResponse | null
      error: { code: string | null; message: string } | null
    }
  /** The batch has ended, and the service gave no result for this request. */
  | { custom_id: string; outcome: 'missing'; response: null; error: null }

export type RunSummary = {
  succeeded: number
  failed: number
  missing: number
  /** The first of them, at most MISSING_IDS_MAX; fewer than `missing` also where the input file is gone. */
  missingIds: string[]
  /** Results that a service gave a second time; each was left out. */
  repeated: number
  /** As it ended. */
  batch: WireBatch
}

/**
 * Awaited: the summary, once the last result is there. Iterated (once): the results, as they come; awaited after that: the summary.
 * Leaving the loop early detaches from the batch, which goes on.
 */
export type BatchRun = PromiseLike<RunSummary> &
  AsyncIterable<RunResult> & {
    /** The batch as it was when it was made. */
    readonly created: Promise<WireBatch>
  }

/** What a run asks of a client. */
export type RunCalls = CreateCalls & {
  upload(request: UploadRequest): Promise<WireFile>
  content(
    id: string,
    query: { range?: { start: number }; skip?: number; signal?: AbortSignal },
  ): Promise<ContentReply>
  get(id: string, signal?: AbortSignal): Promise<WireBatch>
  cancel(id: string): Promise<WireBatch>
  isDw(): Promise<boolean>
}

/** Guess: enough to see what they have in common. */
export const MISSING_IDS_MAX = 1_000
const DEFAULT_ENDPOINT = '/v1/chat/completions'
const QUICK_LOOKS = 8
const QUICK_LOOK_MS = 250
const LOOK_MS = 1_000
const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled'])

type Begun = { batch: WireBatch; count: number | null }

export function createRuns(calls: RunCalls) {
  return {
    /** Uploads and creates at once; results are read as they are asked for. */
    run: (requests: RunRequests, options: RunOptions = {}): BatchRun =>
      follow(calls, begin(calls, requests, options), options),
    /** The results of a batch from its first line on, whoever made it. */
    attach: (id: string, options: ReadOptions = {}): BatchRun => {
      const first = patiently(() => calls.get(id, options.signal), options.signal)
      return follow(
        calls,
        first.then((batch) => ({ batch, count: null })),
        options,
      )
    },
  }
}

async function begin(calls: RunCalls, requests: RunRequests, options: RunOptions): Promise<Begun> {
  const { endpoint, completionWindow = '24h', metadata, idempotencyKey, signal } = options
  const sent: Sent = { count: 0, firstUrl: null }
  const broken = new AbortController()
  const encode = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* encodeRequests(requests, { sent, endpoint: endpoint ?? DEFAULT_ENDPOINT, signal })
    } catch (thrown) {
      // Otherwise it would be taken for a fault of the network, and the upload begun again.
      broken.abort(thrown)
      throw thrown
    }
  }
  const file = await calls.upload({
    name: options.filename ?? 'requests.jsonl',
    content: encode,
    signal: signal === undefined ? broken.signal : AbortSignal.any([broken.signal, signal]),
    ...(isRepeatable(requests) ? {} : { attemptsMax: 1 }),
  })
  signal?.throwIfAborted()
  // Without the signal: an abort must not leave a batch behind whose id nobody knows.
  const batch = await createOnce(
    calls,
    {
      inputFileId: file.id,
      endpoint: endpoint ?? sent.firstUrl ?? DEFAULT_ENDPOINT,
      completionWindow,
      ...(metadata === undefined ? {} : { metadata }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    },
    { isDw: await calls.isDw() },
  )
  return { batch, count: sent.count }
}

function follow(calls: RunCalls, begun: Promise<Begun>, options: ReadOptions): BatchRun {
  const created = begun.then(({ batch }) => batch)
  const summary = Promise.withResolvers<RunSummary>()
  // Whoever reads or awaits hears of a failure; nobody has to.
  for (const promise of [created, summary.promise]) promise.catch(() => undefined)
  let isTaken = false
  async function* results(): AsyncGenerator<RunResult, undefined> {
    try {
      summary.resolve(yield* readResults(calls, await begun, options))
    } catch (thrown) {
      const told = options.signal?.aborted === true ? await detached(calls, begun, options) : thrown
      summary.reject(told)
      throw told
    } finally {
      // Only has an effect when the reader left the loop.
      summary.reject(
        new DetachedError((await begun.catch(() => null))?.batch.id ?? null, { isCancelled: false }),
      )
    }
  }
  async function drain(): Promise<void> {
    isTaken = true
    for await (const _ of results()) {
      // Whoever only awaits wants the summary.
    }
  }
  return {
    created,
    // biome-ignore lint/suspicious/noThenProperty: to be awaited is what it is for
    then(onResolved, onRejected) {
      // A failure is told by the promise of the summary.
      if (!isTaken) drain().catch(() => undefined)
      return summary.promise.then(onResolved, onRejected)
    },
    [Symbol.asyncIterator]() {
      if (isTaken) throw new TypeError('the results of a run can be read once; `attach` reads them again')
      isTaken = true
      return results()
    },
  }
}

async function detached(
  calls: RunCalls,
  begun: Promise<Begun>,
  { signal, onAbort = 'detach' }: ReadOptions,
): Promise<DetachedError> {
  const cause: unknown = signal?.reason
  const batchId = (await begun.catch(() => null))?.batch.id ?? null
  if (batchId === null || onAbort === 'detach')
    return new DetachedError(batchId, { isCancelled: false, cause })
  try {
    await calls.cancel(batchId)
    return new DetachedError(batchId, { isCancelled: true, cause })
  } catch (thrown) {
    // It had ended, or the service cannot be reached: the caller learns that it was not cancelled.
    return new DetachedError(batchId, { isCancelled: false, cause: thrown })
  }
}

/** What one reading has given so far. */
type Reading = {
  calls: RunCalls
  options: ReadOptions
  isDw: boolean
  seen: IdSet
  summary: Omit<RunSummary, 'batch'>
}

async function* readResults(
  calls: RunCalls,
  { batch: made, count }: Begun,
  options: ReadOptions,
): AsyncGenerator<RunResult, RunSummary> {
  const { signal, onProgress, lookMs } = options
  const summary = { succeeded: 0, failed: 0, missing: 0, missingIds: [], repeated: 0 }
  const isDw = await patiently(() => calls.isDw(), signal)
  const reading: Reading = { calls, options, isDw, seen: createIdSet(), summary }
  const place: Place = { lines: 0, bytes: 0 }
  for (let looks = 1; ; looks += 1) {
    const batch = await patiently(() => calls.get(made.id, signal), signal)
    onProgress?.(batch)
    const isEnded = ENDED.has(batch.status)
    // Some services leave out what is null.
    const outputId = batch.output_file_id ?? null
    if (outputId !== null && (isEnded || isDw)) yield* resultsOf(reading, outputId, place)
    if (isEnded) {
      if (batch.status === 'failed') throw new BatchFailedError(batch)
      const errorId = batch.error_file_id ?? null
      if (errorId !== null) yield* resultsOf(reading, errorId, { lines: 0, bytes: 0 })
      yield* missingOf(reading, batch, count)
      return { ...summary, batch }
    }
    await sleep(lookMs ?? (looks <= QUICK_LOOKS ? QUICK_LOOK_MS : LOOK_MS), signal)
  }
}

/** New results of a result file, from the place on, which moves along. */
async function* resultsOf(
  { calls, options, isDw, seen, summary }: Reading,
  fileId: string,
  place: Place,
): AsyncGenerator<RunResult> {
  const { signal } = options
  const query = signal === undefined ? {} : { signal }
  const open = async ({ lines, bytes }: Place) => {
    if (isDw) return { body: (await calls.content(fileId, { ...query, skip: lines })).body, skipBytes: 0 }
    const from = bytes === 0 ? {} : { range: { start: bytes } }
    const { body, startsAt } = await calls.content(fileId, { ...query, ...from })
    return { body, skipBytes: bytes - startsAt }
  }
  for await (const line of readLines({ open, place, patience: createPatience(signal) })) {
    const result = resultOf(line, { fileId, lineNumber: place.lines })
    if (!seen.add(result.custom_id)) {
      summary.repeated += 1
      continue
    }
    summary[result.outcome] += 1
    yield result
    signal?.throwIfAborted()
  }
}

/** A request without a result, for each that has none. */
async function* missingOf(
  { calls, options, seen, summary }: Reading,
  batch: WireBatch,
  count: number | null,
): AsyncGenerator<RunResult> {
  // Left out by some services, and 0 for a batch that was cancelled before its lines were counted.
  const counts = batch.request_counts as WireBatch['request_counts'] | undefined
  const known = Math.max(count ?? 0, counts?.total ?? 0)
  if (known > 0 && seen.size >= known) return
  const fileId = batch.input_file_id
  const { signal } = options
  const open = async ({ bytes }: Place) => {
    const from = bytes === 0 ? {} : { range: { start: bytes } }
    const { body, startsAt } = await calls.content(fileId, {
      ...from,
      ...(signal === undefined ? {} : { signal }),
    })
    return { body, skipBytes: bytes - startsAt }
  }
  const place: Place = { lines: 0, bytes: 0 }
  try {
    for await (const line of readLines({ open, place, patience: createPatience(signal) })) {
      const id = idOf(line, { fileId, lineNumber: place.lines })
      if (!seen.add(id)) continue
      summary.missing += 1
      if (summary.missingIds.length < MISSING_IDS_MAX) summary.missingIds.push(id)
      yield { custom_id: id, outcome: 'missing', response: null, error: null }
    }
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || isPassing(thrown)) throw thrown
    // The input file is gone, so nobody can say which; how many is known.
    summary.missing = Math.max(summary.missing, known - summary.succeeded - summary.failed)
  }
}

type LinePlace = { fileId: string; lineNumber: number }

function objectOf(line: string, place: LinePlace): Record<string, unknown> & { custom_id: string } {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch (thrown) {
    throw new BadResultError(place, thrown)
  }
  if (typeof parsed !== 'object' || parsed === null || !('custom_id' in parsed))
    throw new BadResultError(place)
  if (typeof parsed.custom_id !== 'string') throw new BadResultError(place)
  // A JSON object has string keys only, and its `custom_id` was looked at.
  return parsed as Record<string, unknown> & { custom_id: string }
}

function idOf(line: string, place: LinePlace): string {
  return objectOf(line, place).custom_id
}

function resultOf(line: string, place: LinePlace): RunResult & { outcome: 'succeeded' | 'failed' } {
  // The shape of a result line, which the service states; what is read here is looked at below.
  const parsed = objectOf(line, place) as {
    custom_id: string
    response?: RunResponse | null
    error?: { code: string | null; message: string } | null
  }
  const { custom_id, response = null, error = null } = parsed
  if (response !== null && typeof response.status_code !== 'number') throw new BadResultError(place)
  const isGood =
    error === null && response !== null && response.status_code >= 200 && response.status_code < 300
  return isGood
    ? { custom_id, outcome: 'succeeded', response, error }
    : { custom_id, outcome: 'failed', response, error }
}
