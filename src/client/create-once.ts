/**
 * Makes one batch of a file that was uploaded for it alone. A service of ours knows idempotency keys; with any other, a reply that was
 * lost is looked for in the list of batches before another is asked for.
 */
import type { WireBatch, WireList } from '../contract/wire.ts'
import type { CreateBatchRequest } from './client.ts'
import { ApiError, isPassing } from './errors.ts'
import { patiently } from './patience.ts'
import { OutcomeUnknownError } from './run-errors.ts'
import { sleep } from './transport.ts'

export type CreateCalls = {
  create(request: CreateBatchRequest): Promise<WireBatch>
  list(query: { limit?: number; signal?: AbortSignal }): Promise<WireList<WireBatch>>
}

const ATTEMPTS_MAX = 4
const DELAY_MS_FIRST = 500
/** What was made a moment ago is among the newest, and lists begin with those. */
const BATCHES_LOOKED_MAX = 100

/** @throws ApiError of a refusal; OutcomeUnknownError */
export async function createOnce(
  calls: CreateCalls,
  request: CreateBatchRequest,
  { isDw }: { isDw: boolean },
): Promise<WireBatch> {
  if (isDw) {
    const idempotencyKey = request.idempotencyKey ?? crypto.randomUUID()
    return patiently(() => calls.create({ ...request, idempotencyKey }), undefined)
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await calls.create({ ...request, attemptsMax: 1 })
    } catch (thrown) {
      if (!isPassing(thrown)) throw thrown
      const isRefused = thrown instanceof ApiError && thrown.status < 500
      const made = isRefused ? null : await findMade(calls, request.inputFileId, thrown)
      if (made !== null) return made
      if (attempt >= ATTEMPTS_MAX)
        throw isRefused ? thrown : new OutcomeUnknownError(request.inputFileId, thrown)
    }
    await sleep(DELAY_MS_FIRST * 2 ** (attempt - 1), undefined)
  }
}

async function findMade(calls: CreateCalls, fileId: string, lost: unknown): Promise<WireBatch | null> {
  try {
    const { data } = await calls.list({ limit: BATCHES_LOOKED_MAX })
    return data.find((batch) => batch.input_file_id === fileId) ?? null
  } catch {
    // Asking again could make a second batch: the caller decides, and hears of the first loss.
    throw new OutcomeUnknownError(fileId, lost)
  }
}
