/**
 * Brings one part of a run to its batch: upload, then creation, each step in the journal before the next. After a crash at any point the
 * same steps go on where they ended, and no second batch is asked for while a first one may exist.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ApiError, type Client } from '../../client/client.ts'
import type { WireBatch, WireFile } from '../../contract/wire.ts'
import { assert } from '../../lib/errors.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { createBatchOnce } from '../foreign/create-batch.ts'
import { findBatch } from '../foreign/find-batch.ts'
import { createByteProgress } from '../progress-bytes.ts'
import type { PartRecord } from '../run/journal.ts'
import { partLines } from '../run/part-plan.ts'
import type { RunState } from '../run/run-state.ts'
import { readSource, requireUnchanged } from '../run/source.ts'
import { noteUpload } from '../user-files.ts'
import { overrideModel } from './batches-model-override.ts'
import { countBytes } from './batches-submit.ts'
import type { RunInput } from './run-input.ts'
import type { RunSettings } from './run-options.ts'

export type Job = {
  context: CommandContext
  client: Client
  settings: RunSettings
  input: RunInput
  state: RunState
}

/** Guess: a hundred pages. */
const BATCHES_LOOKED_MAX = 10_000
/** Guess: after a Ctrl-C an answer that is under way is worth so long a wait: it says whether there is a batch. */
const GRACE_MS = 3_000

/** @throws ApiError of a refusal, CliError `file_changed`, `outcome_unknown`; the signal's reason */
export async function bringUp(job: Job, place: number): Promise<WireBatch> {
  const { state } = job
  const { fileId, isAsked } = partAt(state, place)
  const uploaded = fileId === null ? null : await fileOrNull(job, fileId)
  // The file may be gone and its batch not.
  const made = fileId !== null && isAsked ? await findMade(job, fileId, uploaded) : null
  if (made !== null) {
    state.change(place, { batchId: made.id })
    return made
  }
  if (uploaded === null) {
    // Another file under the key of the first would be a contradiction.
    if (fileId !== null) state.restart(place, { keepsFile: false })
    state.change(place, { fileId: (await upload(job, place)).id })
  }
  job.context.signal.throwIfAborted()
  state.change(place, { isAsked: true })
  const batch = await create(job, place)
  state.change(place, { batchId: batch.id })
  return batch
}

function partAt(state: RunState, place: number): PartRecord {
  const part = state.parts()[place]
  assert(part !== undefined, `part ${place} is one of the run's`)
  return part
}

/** The upload of an earlier process, where it is still there. */
async function fileOrNull({ client, context }: Job, fileId: string): Promise<WireFile | null> {
  try {
    return await client.files.get(fileId, context.signal)
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.status === 404) return null
    throw thrown
  }
}

/** A batch that was asked for by a process that did not live to hear of it. */
async function findMade(
  { client, context }: Job,
  fileId: string,
  file: WireFile | null,
): Promise<WireBatch | null> {
  const { batch, isWhole } = await findBatch(
    { client, context },
    {
      // One that failed was refused, and its file is used again.
      isWanted: ({ input_file_id, status }) => input_file_id === fileId && status !== 'failed',
      ...(file !== null && { origin: file }),
      lookedMax: BATCHES_LOOKED_MAX,
    },
  )
  if (batch !== null || isWhole) return batch
  throw new CliError(
    'outcome_unknown',
    `A batch of ${fileId} was asked for earlier, and is not among the newest ${BATCHES_LOOKED_MAX}.`,
    { exit: 'unreachable', hint: 'Look with dw batches list; --new starts another one.' },
  )
}

async function upload({ client, context, settings, input, state }: Job, place: number): Promise<WireFile> {
  const part = partAt(state, place)
  const { source } = input
  const count = state.parts().length
  const stem = source.name.replace(/\.jsonl$/, '')
  const name = count === 1 ? source.name : `${stem}-${String(place + 1).padStart(3, '0')}.jsonl`
  const progress = createByteProgress(context.output, {
    label: `sending ${name}`,
    total: part.end - part.start,
  })
  let changed: unknown = null
  const requireSame = (): void => {
    try {
      requireUnchanged(source)
    } catch (thrown) {
      changed = thrown
      throw thrown
    }
  }
  async function* content(): AsyncGenerator<Uint8Array> {
    requireSame()
    const lines = partLines(part, countBytes(readSource(source, part), progress.update))
    yield* settings.model === null ? lines : overrideModel(lines, settings.model)
    // Thrown before the form is closed: the server drops the upload.
    requireSame()
  }
  try {
    const file = await client.files.upload({ name, content, signal: context.signal })
    noteUpload(context.env, context.serverUrl(), { id: file.id, name, uploadedAt: Date.now() })
    return file
  } catch (thrown) {
    throw changed ?? thrown
  } finally {
    progress.end()
  }
}

async function create(job: Job, place: number): Promise<WireBatch> {
  const { client, context, settings, input, state } = job
  const { fileId, idempotencyKey } = partAt(state, place)
  assert(fileId !== null, 'a part is uploaded before its batch is asked for')
  const grace = graceOf(context)
  try {
    return await createBatchOnce(
      { client, context: { signal: grace.signal } },
      {
        inputFileId: fileId,
        endpoint: input.endpoint,
        completionWindow: settings.window,
        ...(settings.metadata !== null && { metadata: settings.metadata }),
        idempotencyKey,
        signal: grace.signal,
      },
    )
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.status < 500) {
      // Refused for good: nobody will use the upload. When it stays after all, it costs no more than its place.
      await client.files.delete(fileId).catch(() => null)
      state.restart(place, { keepsFile: false })
    }
    throw withAdvice(thrown)
  } finally {
    grace.end()
  }
}

function withAdvice(thrown: unknown): unknown {
  if (!(thrown instanceof CliError) || thrown.code !== 'outcome_unknown') return thrown
  return new CliError(thrown.code, thrown.message, {
    exit: thrown.exit,
    hint: 'Run the same command again: it looks for the batch before it asks for another.',
  })
}

/** Aborts a little later than the signal of the command. */
function graceOf({ signal, output }: CommandContext): { signal: AbortSignal; end(): void } {
  const later = new AbortController()
  const over = new AbortController()
  const onAbort = (): void => {
    output.warn('Waiting for the answer that says whether there is a batch; a second Ctrl-C ends at once.')
    delay(GRACE_MS, undefined, { signal: over.signal }).then(
      () => later.abort(signal.reason),
      // The answer came in time.
      () => undefined,
    )
  }
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    signal: later.signal,
    end() {
      over.abort()
      signal.removeEventListener('abort', onAbort)
    },
  }
}
