/** The log thread: the only writer of the commit log and of the batches' result files. */
import { sharedMonotonicMs } from '../../lib/clock.ts'
import { systemDisk } from '../../lib/disk.ts'
import { assert, TroubleError } from '../../lib/errors.ts'
import { receivedWorkerData, sendEvent, serveWorker } from '../../lib/worker-channel.ts'
import type { ResultFileKind } from '../result-log.ts'
import type { CommitLog } from './commit-log.ts'
import { layoutOf } from './layout.ts'
import { scanRecords } from './record-scan.ts'
import { recover } from './recovery.ts'

/** Told to the main thread when the disk takes nothing, and when it takes again (null). */
export type BlockedEvent = { blocked: string | null }

/** Reply to `append`: the chunk's memory, and when its sync was over, by the clock that threads share. */
export type Appended = { chunk: ArrayBuffer; syncedAt: number }

/** Guess: how often a full disk is tried again. */
const AGAIN_MS = 500

const layout = layoutOf(receivedWorkerData<{ folder: string }>().folder)
const sealed = new Set<number>()
let log: CommitLog | null = null
let damaged = new Map<number, string>()
let isBlocked = false

serveWorker({
  open() {
    const recovered = recover(systemDisk, layout)
    log = recovered.log
    damaged = recovered.damaged
    return { lines: recovered.lines, damaged: [...damaged.keys()] }
  },
  openBatch(batch: { seq: number; linesTotal: number }) {
    open().files.flush(batch.seq)
    const reason = damaged.get(batch.seq)
    if (reason !== undefined) throw new TroubleError('damaged', reason)
    const scanned = scanRecords(systemDisk, layout, batch)
    if ('damage' in scanned) throw new TroubleError('damaged', scanned.damage)
    const sizes = {
      records: countOf(scanned.tally),
      outputBytes: scanned.tally.outputBytes,
      errorBytes: scanned.tally.errorBytes,
    }
    if (open().files.sizes(batch.seq).records !== sizes.records) {
      const mismatch = open().files.reset(batch.seq, sizes)
      if (mismatch !== null) throw new TroubleError('damaged', mismatch)
    }
    return scanned
  },
  /** Gives the chunk's memory back. Resolves when its lines are durable. */
  async append({ chunk, bytes }: { chunk: ArrayBuffer; bytes: number }) {
    await whenDiskTakes(() => open().append(Buffer.from(chunk, 0, bytes)))
    const syncedAt = sharedMonotonicMs()
    // After the reply: the answer must not wait for this.
    setImmediate(afterAppend)
    return { chunk, syncedAt, transfer: [chunk] } satisfies Appended & { transfer: ArrayBuffer[] }
  },
  flush: (seq: number) => whenDiskTakes(() => open().files.flush(seq)),
  seal(seq: number) {
    sealed.add(seq)
    return whenDiskTakes(() => open().files.flush(seq))
  },
  /** A batch that ended just before a crash was recovered with its lines, and nobody will seal it again. */
  retain(seqs: ReadonlySet<number>) {
    for (const seq of open().files.all().keys()) if (!seqs.has(seq)) sealed.add(seq)
  },
  async removeFile({ seq, kind }: { seq: number; kind: ResultFileKind }) {
    // Nothing of it may be in the log any more, or a recovery would write it again.
    await whenDiskTakes(checkpoint)
    const path = layout.lines(seq, kind)
    if (!systemDisk.exists(path)) return
    systemDisk.remove(path)
    systemDisk.syncFolder(layout.batch(seq))
  },
  async stop() {
    if (log === null) return
    await whenDiskTakes(checkpoint)
    log.close()
  },
})

function afterAppend(): void {
  open().tidy()
  if (!open().isCheckpointDue) return
  try {
    checkpoint()
  } catch (thrown) {
    // The log goes on without one; the next append tries again.
    if (!(thrown instanceof TroubleError) || thrown.code !== 'disk_full') throw thrown
  }
}

function checkpoint(): void {
  const forget = [...sealed]
  open().checkpoint(forget)
  sealed.clear()
  open().restoreBallast()
}

/** Tries until the disk has room: what was taken is never dropped while the process lives. Any other failure ends the thread. */
async function whenDiskTakes(call: () => void): Promise<void> {
  for (;;) {
    try {
      call()
      if (isBlocked) tellBlocked(null)
      return
    } catch (thrown) {
      if (!(thrown instanceof TroubleError) || thrown.code !== 'disk_full') return die(thrown)
      if (!isBlocked) tellBlocked('the disk of the data folder is full')
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
}

function tellBlocked(reason: string | null): void {
  isBlocked = reason !== null
  sendEvent({ blocked: reason } satisfies BlockedEvent)
}

/** A failed write or sync: what the disk holds is unknown, so the process ends and the next start recovers. */
function die(cause: unknown): never {
  setImmediate(() => {
    throw cause
  })
  throw cause
}

function open(): CommitLog {
  assert(log !== null, 'the result log is open')
  return log
}

function countOf(tally: { completed: number; failed: number; expired: number; cancelled: number }): number {
  return tally.completed + tally.failed + tally.expired + tally.cancelled
}
