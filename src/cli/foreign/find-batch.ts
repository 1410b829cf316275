/** Looks for a batch in the list of a service that can be asked for nothing else. */
import type { WireBatch } from '../../contract/wire.ts'
import type { Asked } from './content.ts'

export type Search = {
  isWanted: (batch: WireBatch) => boolean
  /** Made before what is wanted: a list with the newest first is read no further. */
  origin?: Pick<WireBatch, 'created_at'>
  lookedMax: number
}

/** @returns the first one in the list; `isWhole`: there is none, and no batch was left out */
export async function findBatch(
  { client, context }: Asked,
  { isWanted, origin, lookedMax }: Search,
): Promise<{ batch: WireBatch | null; isWhole: boolean }> {
  let looked = 0
  let isNewestFirst = true
  let lastAt = Number.POSITIVE_INFINITY
  for await (const batch of client.batches.listAll({ signal: context.signal })) {
    if (isWanted(batch)) return { batch, isWhole: false }
    isNewestFirst &&= batch.created_at <= lastAt
    lastAt = batch.created_at
    if (isNewestFirst && origin !== undefined && batch.created_at < origin.created_at) break
    looked += 1
    if (looked >= lookedMax) return { batch: null, isWhole: false }
  }
  return { batch: null, isWhole: true }
}
