/** The log thread: the only writer of the commit log and of the batches' result files. */
import { sharedMonotonicMs } from '../../lib/clock.ts'
import { systemDisk } from '../../lib/disk.ts'
import { assert, TroubleError } from '../../lib/errors.ts'
import { receivedWorkerData, sendEvent, serveWorker } from '../../lib/worker-channel.ts'
import type { ResultFileKind } from '../result-log.ts'
import type { CommitLog } from './commit-log.ts'
import { layoutOf } from './layout.ts'
import { type LogState, openBatch, removeFile, retain } from './log-steps.ts'
import { recover } from './recovery.ts'

/** Told to the main thread when the disk takes nothing, and when it takes again (null). */
export type BlockedEvent = { blocked: string | null }

/** Reply to `append`: the chunk's memory, and when its sync was over, by the clock that threads share. */
export type Appended = { chunk: ArrayBuffer; syncedAt: number }

/** Guess: how often a full disk is tried again. */
const AGAIN_MS = 500

const layout = layoutOf(receivedWorkerData<{ folder: string }>().folder)
let state: LogState | null = null
let isBlocked = false
let isPieceDue = false

serveWorker({
  open() {
    const recovered = recover(systemDisk, layout)
    state = { disk: systemDisk, layout, recovered }
    return { lines: recovered.lines, damaged: [...recovered.damaged.keys()] }
  },
  openBatch: (batch: { seq: number; linesTotal: number }) => openBatch(opened(), batch),
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
    open().seal(seq)
    return whenDiskTakes(() => open().files.flush(seq))
  },
  retain(seqs: ReadonlySet<number>) {
    for (const seq of retain(opened(), seqs)) open().seal(seq)
  },
  async removeFile(file: { seq: number; kind: ResultFileKind }) {
    await whenDiskTakes(checkpoint)
    removeFile(opened(), file)
  },
  async stop() {
    if (state === null) return
    await whenDiskTakes(checkpoint)
    open().close()
  },
})

/** A checkpoint goes on in short pieces, with appends between them. */
function afterAppend(): void {
  open().tidy()
  if (isPieceDue || !(open().isCheckpointDue || open().isCheckpointing)) return
  isPieceDue = true
  setImmediate(doPiece)
}

function doPiece(): void {
  isPieceDue = false
  try {
    if (open().isCheckpointing) open().continueCheckpoint()
    else open().beginCheckpoint()
  } catch (thrown) {
    // The log goes on without one; the next append tries again.
    if (!(thrown instanceof TroubleError) || thrown.code !== 'disk_full') throw thrown
    return
  }
  if (!open().isCheckpointing) return open().restoreBallast()
  isPieceDue = true
  setImmediate(doPiece)
}

function checkpoint(): void {
  open().checkpoint()
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
  return opened().recovered.log
}

function opened(): LogState {
  assert(state !== null, 'the result log is open')
  return state
}
