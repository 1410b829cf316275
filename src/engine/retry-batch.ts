/** A new batch of the lines of an ended one that failed or expired, from a real input file that holds just those lines byte for byte. */
import type { Blobs } from '../blobs/blobs.ts'
import { type Batch, type Endpoint, isEnded, isEndpoint } from '../domain/batch.ts'
import type { ServerConfig } from '../domain/config.ts'
import { selectionIdOf } from '../domain/failure.ts'
import type { StoredFile } from '../domain/file.ts'
import { requireWindow } from '../domain/window.ts'
import type { Clock } from '../lib/clock.ts'
import { assert, RefusedError, TroubleError } from '../lib/errors.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import type { BatchOrigin } from './batch-service.ts'
import { OutcomeUnknownError } from './commit-outcome.ts'
import { copyLines } from './line-copy.ts'
import { type Selection, selectLines } from './retry-selection.ts'
import type { NewBatchRequest, Upload } from './service.ts'

export type RetryParts = {
  store: Store
  blobs: Blobs
  results: ResultLog
  clock: Clock
  config: ServerConfig
  beginUpload: (tenantId: string) => Promise<Upload>
  getBatch: (tenantId: string, id: string) => Promise<Batch | null>
  createBatch: (tenantId: string, request: NewBatchRequest, origin: BatchOrigin) => Promise<Batch>
}

type RetryRequest = Selection & {
  id: string
  idempotencyKey: string | null
  keyId: string | null
}

/**
 * @throws RefusedError `batch_running`, `nothing_to_retry`, `input_gone`, `errors_gone`, `retry_running` (409); `unknown_group` (400)
 */
export async function retryBatch(
  parts: RetryParts,
  tenantId: string,
  request: RetryRequest,
): Promise<Batch | null> {
  const { store, config } = parts
  const origin = await store.batches.get(request.id, tenantId)
  if (origin === null) return null
  requireEnded(origin)
  const live = (await store.batches.children(origin.id)).find((child) => !isEnded(child.status))
  if (live !== undefined) {
    await requireSame(store, { origin, live, request })
    return parts.getBatch(tenantId, live.id)
  }
  requireWindow(origin.window, config.windows)
  if (request.groups !== null) await requireErrors(store, origin)
  const selected = await selectLines(parts.results, origin, request)
  if (selected.lines === 0) throw nothingToRetry(origin, request.includeCancelled)
  const input = await store.files.getEvenDeleted(origin.inputFileId)
  if (input === null) throw inputGone(origin)
  const file = await uploadLines(parts, {
    ...{ origin, input, bitmap: selected.bitmap },
    filename: filenameOf(origin, request),
  })
  return createFrom(parts, { origin, file, request })
}

/** The file made for a batch that then is not made, or was made before, is taken back: nobody asked for it. */
async function createFrom(
  parts: RetryParts,
  made: { origin: Batch; file: StoredFile; request: RetryRequest },
): Promise<Batch> {
  const { origin, file, request } = made
  const takeBack = (): Promise<boolean> => parts.store.files.hide(file.id, parts.clock.now())
  const batch = await parts
    .createBatch(
      origin.tenantId,
      {
        inputFileId: file.id,
        endpoint: requireEndpoint(origin.endpoint),
        window: origin.window,
        metadata: origin.metadata === null ? null : { ...origin.metadata },
        outputExpiresAfterSeconds: origin.outputExpiresAfterSeconds,
        idempotencyKey: request.idempotencyKey,
        keyId: request.keyId,
      },
      { retryOf: origin.id, requestKey: requestKeyOf(request) },
    )
    .catch(async (thrown: unknown) => {
      if (!(thrown instanceof OutcomeUnknownError)) await takeBack()
      throw thrown
    })
  if (batch.inputFileId !== file.id) {
    await takeBack()
    await requireSame(parts.store, { origin, live: batch, request })
  }
  return batch
}

function requestKeyOf({ groups, includeCancelled }: Selection): string {
  if (groups !== null) return `groups ${groups.join(' ')}`
  return includeCancelled ? 'with cancelled' : 'failed'
}

/** Tells which lines a retry took: by its name a batch is known to run those of the same groups. */
function filenameOf(origin: Batch, { groups }: Selection): string {
  return `${origin.id}_retry${groups === null ? '' : `_${selectionIdOf(groups)}`}.jsonl`
}

/** A batch has one retry at a time. Whoever asks for other lines must not take it for theirs. */
async function requireSame(
  store: Store,
  { origin, live, request }: { origin: Batch; live: Batch; request: Selection },
): Promise<void> {
  const input = await store.files.getEvenDeleted(live.inputFileId)
  // Its bytes are kept while it runs, and so is what is known of it; without that nothing can be said against it.
  if (input === null || input.filename === filenameOf(origin, request)) return
  throw new RefusedError(
    'retry_running',
    `Batch ${live.id} runs other failed lines of ${origin.id}: retry these once it has ended.`,
    { status: 409 },
  )
}

/** Groups are told by what the lines of the error file say. */
async function requireErrors(store: Store, origin: Batch): Promise<void> {
  const { errorFileId, tenantId } = origin
  if (errorFileId === null || (await store.files.get(errorFileId, tenantId)) !== null) return
  throw new RefusedError(
    'errors_gone',
    `The error file ${errorFileId} of batch ${origin.id} was deleted, so its groups are not known: retry all of it.`,
    { status: 409 },
  )
}

async function uploadLines(
  parts: RetryParts,
  source: { origin: Batch; input: StoredFile; bitmap: Uint8Array; filename: string },
): Promise<StoredFile> {
  const { origin, input, bitmap, filename } = source
  const upload = await parts.beginUpload(origin.tenantId)
  try {
    const lines = copyLines(parts.blobs, input, { bitmap, linesTotal: origin.linesTotal })
    for await (const bytes of lines) await upload.write(bytes)
    return await upload.finish({ filename, purpose: 'batch', expiresAfterSeconds: null })
  } catch (thrown) {
    await upload.abort()
    const isGone = thrown instanceof TroubleError && thrown.code === 'damaged'
    // A deleted input may lose its bytes while they are copied.
    if (isGone && (await parts.store.files.getEvenDeleted(input.id)) === null) throw inputGone(origin)
    throw thrown
  }
}

function requireEnded(origin: Batch): void {
  if (!isEnded(origin.status)) {
    throw new RefusedError(
      'batch_running',
      `Batch ${origin.id} is still ${origin.status}: retry it once it has ended, or cancel it first.`,
      { status: 409 },
    )
  }
  if (origin.status === 'failed') {
    throw new RefusedError(
      'nothing_to_retry',
      `Batch ${origin.id} did not validate, so nothing ran: mend the file and create a new batch.`,
      { status: 409 },
    )
  }
}

function nothingToRetry(origin: Batch, includeCancelled: boolean): RefusedError {
  const { cancelled } = origin.tally
  const said = `Batch ${origin.id} has no failed or expired lines.`
  const message =
    origin.inProgressAt === null
      ? `Batch ${origin.id} was cancelled before it started, so nothing ran: create a new batch of file ${origin.inputFileId}.`
      : cancelled > 0 && !includeCancelled
        ? `${said} It has ${cancelled} cancelled lines: ask for them with include_cancelled.`
        : `${said} To run all its lines again, create a new batch of file ${origin.inputFileId}.`
  return new RefusedError('nothing_to_retry', message, { status: 409 })
}

function inputGone(origin: Batch): RefusedError {
  return new RefusedError(
    'input_gone',
    `The input file ${origin.inputFileId} of batch ${origin.id} was deleted: upload it again to run it.`,
    { status: 409 },
  )
}

function requireEndpoint(text: string): Endpoint {
  assert(isEndpoint(text), `batch endpoint ${text} was checked at its creation`)
  return text
}
