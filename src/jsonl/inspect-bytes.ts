/** For tests: inspects bytes in memory, pushed in any cut. */
import { createInspector, type InspectorOptions, type Sampled } from './inspector.ts'
import type { IndexEntry } from './line-index.ts'
import type { Spill } from './spill.ts'
import type { ReadAt } from './window-reader.ts'

export type InspectedBytes = Sampled & { entries: IndexEntry[]; runsSpilled: number }

export function inspectBytes(
  content: string | Buffer,
  options: Partial<InspectorOptions> & { cuts?: readonly number[] } = {},
): InspectedBytes {
  const bytes = Buffer.from(content)
  const entries: IndexEntry[] = []
  const spill = createMemorySpill()
  const inspector = createInspector({
    lineBytesMax: 1024 * 1024,
    linesMax: 1_000_000,
    seed: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
    spill,
    readBack: readFrom(() => bytes),
    onEntry: (entry) => entries.push(entry),
    ...options,
  })
  let start = 0
  for (const cut of [...(options.cuts ?? []).toSorted((left, right) => left - right), bytes.byteLength]) {
    // A copy, so that whoever keeps a chunk is found out when it is overwritten.
    const chunk = Buffer.from(bytes.subarray(start, cut))
    inspector.push(chunk)
    chunk.fill(0)
    start = Math.max(start, cut)
  }
  return { ...inspector.finish(), entries, runsSpilled: spill.appends / 2 }
}

/** A request line with the given parts changed; `undefined` leaves a part out. */
export function requestLine(parts: Record<string, unknown> = {}, body: Record<string, unknown> = {}): string {
  return JSON.stringify({
    custom_id: 'a',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body },
    ...parts,
  })
}

function createMemorySpill(): Spill & { appends: number } {
  let held = Buffer.alloc(0)
  return {
    appends: 0,
    append(bytes) {
      this.appends += 1
      held = Buffer.concat([held, bytes])
    },
    read: readFrom(() => held),
    close() {},
  }
}

function readFrom(source: () => Buffer): ReadAt {
  return (target, offset) => source().copy(target, 0, offset, offset + target.byteLength)
}
