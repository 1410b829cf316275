/** Uploads one checked file and starts its batch. */
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { ApiError, type Client } from '../../client/client.ts'
import type { WireBatch, WireFile } from '../../contract/wire.ts'
import { assert, messageOf } from '../../lib/errors.ts'
import { CliError } from '../cli-error.ts'
import { createBatchOnce } from '../foreign/create-batch.ts'
import { type Checked, stampOf } from './batches-files.ts'
import { overrideModel } from './batches-model-override.ts'
import { pasteable } from './batches-options.ts'

export type SubmitRequest = {
  client: Client
  checked: Checked
  model: string | null
  window: string
  metadata: Record<string, string> | null
  /** The same over all tries of this one submission: the server makes one batch of them. */
  idempotencyKey: string
  signal: AbortSignal
  /** Told of the upload as soon as it is there. */
  onUploaded: (file: WireFile) => void
  /** Bytes of the local file that were read for the network. */
  onProgress: (bytes: number) => void
}

/** @throws ApiError, UnreachableError; CliError `file_changed`, or `outcome_unknown` when a batch may have been made */
export async function submit(request: SubmitRequest): Promise<WireBatch> {
  const { client, checked, window, metadata, idempotencyKey, signal } = request
  const endpoint = checked.inspected.endpoints[0]
  assert(endpoint !== undefined, 'a file without findings has an endpoint')
  const { id: fileId } = await upload(request)
  try {
    return await createBatchOnce(
      { client, context: { signal } },
      {
        inputFileId: fileId,
        endpoint,
        completionWindow: window,
        ...(metadata !== null && { metadata }),
        idempotencyKey,
        signal,
      },
    )
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.status >= 500) throw outcomeUnknown(checked.path, thrown)
    // Refused for good: nobody will use the upload. When it stays after all, it costs no more than its place.
    await client.files.delete(fileId).catch(() => null)
    throw thrown
  }
}

/** No answer came to the request for a batch, or a broken one: the server may have made it all the same. */
function outcomeUnknown(path: string, cause: unknown): CliError {
  const message = `${path} was sent, and then no answer came that says whether its batch was made (${messageOf(cause)}).`
  return new CliError('outcome_unknown', message, {
    exit: 'unreachable',
    hint: `Look before you run it again: ${pasteable(['batches', 'list'])}`,
  })
}

async function upload(request: SubmitRequest): Promise<WireFile> {
  const { client, checked, model, signal, onProgress, onUploaded } = request
  const { path, stamp } = checked
  let changed: CliError | null = null
  const requireSame = (): void => {
    if (stampOf(path) === stamp) return
    changed = new CliError(
      'file_changed',
      `${path} was written to while it was being sent; nothing of it was submitted.`,
      {
        exit: 'invalidInput',
      },
    )
    throw changed
  }
  async function* content(): AsyncGenerator<Uint8Array> {
    requireSame()
    const counted = countBytes(createReadStream(path, { highWaterMark: READ_BYTES }), onProgress)
    yield* model === null ? counted : overrideModel(counted, model)
    // Thrown before the form is closed: the server drops the upload.
    requireSame()
  }
  try {
    const file = await client.files.upload({ name: basename(path), content, signal })
    onUploaded(file)
    return file
  } catch (thrown) {
    throw changed ?? thrown
  }
}

/** Guess: few calls, and progress that moves. */
const READ_BYTES = 256 * 1024

export async function* countBytes(
  source: AsyncIterable<Uint8Array>,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.byteLength
    onProgress(bytes)
    yield chunk
  }
}
