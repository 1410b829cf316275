/**
 * Makes a batch once on a service that may know no idempotency keys: after a lost reply the list is looked at for a batch of that very
 * file before another is asked for. To be used with a file that was uploaded for this batch alone.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ApiError, type CreateBatchRequest, isPassing } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { messageOf } from '../../lib/errors.ts'
import { CliError } from '../cli-error.ts'
import type { Asked } from './content.ts'
import { findBatch } from './find-batch.ts'

/** Guess: as often as any other call is tried. */
const ATTEMPTS_MAX = 4
const DELAY_MS_FIRST = 500
/** Guess: what was made a moment ago is among the newest, and lists begin with those. */
const BATCHES_LOOKED_MAX = 200

/** @throws ApiError of a refusal; CliError `outcome_unknown` when a batch may have been made all the same */
export async function createBatchOnce(
  service: Asked,
  request: Omit<CreateBatchRequest, 'attemptsMax'>,
): Promise<WireBatch> {
  const { client, context } = service
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await client.batches.create({ ...request, attemptsMax: 1 })
    } catch (thrown) {
      context.signal.throwIfAborted()
      if (!isPassing(thrown)) throw thrown
      const isRefused = thrown instanceof ApiError && thrown.status < 500
      if (isRefused && attempt >= ATTEMPTS_MAX) throw thrown
      if (!isRefused) {
        const made = await findMade(service, request.inputFileId)
        if (made !== null) return made
        if (attempt >= ATTEMPTS_MAX) throw outcomeUnknown(thrown)
      }
    }
    await delay(DELAY_MS_FIRST * 2 ** (attempt - 1), undefined, { signal: context.signal })
  }
}

async function findMade(service: Asked, fileId: string): Promise<WireBatch | null> {
  try {
    const isWanted = ({ input_file_id }: WireBatch): boolean => input_file_id === fileId
    return (await findBatch(service, { isWanted, lookedMax: BATCHES_LOOKED_MAX })).batch
  } catch (thrown) {
    service.context.signal.throwIfAborted()
    throw outcomeUnknown(thrown)
  }
}

function outcomeUnknown(cause: unknown): CliError {
  const message = `No answer came that says whether the batch was made (${messageOf(cause)}).`
  return new CliError('outcome_unknown', message, {
    exit: 'unreachable',
    hint: 'Look before you try again: dw batches list',
  })
}
