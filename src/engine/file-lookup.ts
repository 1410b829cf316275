import { isEnded } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import type { Clock } from '../lib/clock.ts'
import type { Store } from '../store/store.ts'

/**
 * A file as its tenant may see it. One whose time has come is gone at that instant, not when the janitor comes by; only the
 * deadline of a live batch's result file does not count before the batch ends.
 */
export async function findFile(
  parts: { store: Store; clock: Clock },
  tenantId: string,
  id: string,
): Promise<StoredFile | null> {
  const file = await parts.store.files.get(id, tenantId)
  if (file === null || file.expiresAt === null || file.expiresAt > parts.clock.now()) return file
  if (file.batchId === null) return null
  const batch = await parts.store.batches.get(file.batchId, null)
  return batch !== null && !isEnded(batch.status) ? file : null
}
