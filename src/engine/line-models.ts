/** Which model each line of a batch asks for. */
import type { Blobs } from '../blobs/blobs.ts'
import type { Batch } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import { TroubleError } from '../lib/errors.ts'
import type { Store } from '../store/store.ts'
import { createLineReader } from './line-reader.ts'

/** Places of the plan read at once: 256 KiB. */
const PLAN_PLACES_MAX = 65_536

export type ModelLookup = { names: string[]; of: (lineIndex: number) => number }

/** Which model each line asks for. An input that is gone still tells it when all its lines asked for the same. */
export async function findModels(batch: Batch, parts: { store: Store; blobs: Blobs }): Promise<ModelLookup> {
  const of = (): number => 0
  const file = await parts.store.files.getEvenDeleted(batch.inputFileId)
  const names = file?.inspection?.models.map(({ model }) => model) ?? []
  if (file === null || names.length === 0) return { names: batch.model === null ? [] : [batch.model], of }
  if (names.length === 1 || batch.inProgressAt === null) return { names, of }
  try {
    const numbers = await readModelNumbers(file, parts.blobs)
    return { names, of: (lineIndex) => numbers[lineIndex] ?? 0 }
  } catch (thrown) {
    // A deleted input loses its bytes a moment before its row.
    if (file.deletedAt === null || !(thrown instanceof TroubleError)) throw thrown
    return { names: [], of }
  }
}

/** The plan lists the lines model by model. At most two bytes a line, and only when the file has several models. */
async function readModelNumbers(file: StoredFile, blobs: Blobs): Promise<Uint8Array | Uint16Array> {
  const shares = file.inspection?.models ?? []
  const lines = shares.reduce((sum, share) => sum + share.lines, 0)
  const numbers = shares.length <= 256 ? new Uint8Array(lines) : new Uint16Array(lines)
  const reader = createLineReader(blobs, file)
  let from = 0
  for (const [modelNumber, share] of shares.entries()) {
    const end = from + share.lines
    while (from < end) {
      const to = Math.min(end, from + PLAN_PLACES_MAX)
      for (const lineIndex of await reader.plan(from, to)) numbers[lineIndex] = modelNumber
      from = to
    }
  }
  return numbers
}
