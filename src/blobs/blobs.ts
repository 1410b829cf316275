/**
 * Bytes by name. A blob is put whole or not at all, survives power loss once `put` resolved, and never changes.
 * Names are [a-z0-9._-], made by us. Blobs that no row of the store names are swept later.
 */
export interface Blobs {
  /** @returns bytes written. @throws TroubleError `disk_full`, `disk_failed`; nothing of the name exists then. */
  put(name: string, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number>
  /** Bytes `start` to `end` (exclusive). @throws TroubleError `damaged` when the blob is absent or shorter. */
  read(name: string, range: { start: number; end: number }): AsyncIterable<Uint8Array>
  /** Fills `target` from `offset`. @returns bytes read, fewer only at the end. */
  readInto(name: string, target: Uint8Array, offset: number): Promise<number>
  size(name: string): Promise<number | null>
  remove(name: string): Promise<void>
  list(): AsyncIterable<string>
  close(): Promise<void>
}

/** Names of the blobs that one input file may have. */
export const blobNames = {
  data: (fileId: string) => `${fileId}.data`,
  index: (fileId: string) => `${fileId}.index`,
  plan: (fileId: string) => `${fileId}.plan`,
  findings: (fileId: string) => `${fileId}.findings`,
}
