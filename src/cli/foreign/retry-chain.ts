/** Finds what belongs to a batch by retries: the batch that ran first, and all that ran parts of it again. */
import type { WireBatch } from '../../contract/wire.ts'
import { CliError } from '../cli-error.ts'
import { formatCount } from '../format.ts'
import { extrasOf } from '../summary-outcome.ts'
import type { Service } from './content.ts'
import { RETRY_OF } from './retry.ts'

/** Guess: nobody retries so often; what a service makes up beyond ends the search. */
const CHAIN_MAX = 1_000
/** Guess: a hundred pages. */
const BATCHES_LOOKED_MAX = 10_000

/** @returns the first batch, then its retries and theirs as they were made @throws CliError `chain_too_long` */
export async function retryChain(service: Service, batch: WireBatch): Promise<WireBatch[]> {
  const first = await firstOf(service, batch)
  const retries = await retriesSince(service, first)
  const found = new Map([[first.id, first]])
  // Made in that order, so an origin comes before its retries.
  for (const retry of retries.toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1)))
    if (found.has(originOf(retry) ?? '')) found.set(retry.id, retry)
  if (found.size > CHAIN_MAX) throw tooLong(batch)
  return [...found.values()]
}

function originOf(batch: WireBatch): string | null {
  const extras = extrasOf(batch)
  // A retry by our server takes along the metadata of its origin, whatever that says.
  return extras === null ? (batch.metadata?.[RETRY_OF] ?? null) : extras.retry_of
}

async function firstOf({ client, context }: Service, batch: WireBatch): Promise<WireBatch> {
  let first = batch
  for (let steps = 0; steps < CHAIN_MAX; steps += 1) {
    const origin = originOf(first)
    if (origin === null) return first
    first = await client.batches.get(origin, context.signal)
  }
  throw tooLong(batch)
}

/** Retries of anything that are not older. */
async function retriesSince({ client, context }: Service, first: WireBatch): Promise<WireBatch[]> {
  const retries: WireBatch[] = []
  let looked = 0
  let isNewestFirst = true
  let lastAt = Number.POSITIVE_INFINITY
  for await (const batch of client.batches.listAll({ signal: context.signal })) {
    isNewestFirst &&= batch.created_at <= lastAt
    lastAt = batch.created_at
    if (isNewestFirst && batch.created_at < first.created_at) break
    if (originOf(batch) !== null) retries.push(batch)
    looked += 1
    if (looked < BATCHES_LOOKED_MAX) continue
    context.output.warn(
      `Only the newest ${formatCount(looked)} batches were searched for retries of ${first.id}: older ones may be left out.`,
    )
    break
  }
  return retries
}

function tooLong({ id }: WireBatch): CliError {
  return new CliError('chain_too_long', `${id} belongs to more than ${formatCount(CHAIN_MAX)} retries.`, {
    exit: 'unexpected',
  })
}
