/**
 * Takes an upload in: bytes go to disk, hash, line index and validation in one pass in a worker thread, never held in memory.
 * What a crash leaves is removed at the next start, or swept as a blob that no row names.
 */
import type { Inspection } from '../domain/file.ts'
import type { Sampled } from '../jsonl/inspector.ts'
import { assert, RefusedError, TroubleError } from '../lib/errors.ts'
import { countOutsideMemory } from '../lib/outside-memory.ts'
import type { Random } from '../lib/random.ts'
import { startWorker, type WorkerClient, workerUrl } from '../lib/worker-channel.ts'
import { createTokenCounter, type TokenCounter } from './token-counter.ts'

export interface Intake {
  /** Starts an upload under the blob names of `fileId`. */
  begin(fileId: string): IntakeUpload
  stop(): Promise<void>
}

export interface IntakeUpload {
  /** Resolves when more may be written. @throws RefusedError `file_too_large`; TroubleError `disk_full` */
  write(chunk: Uint8Array): Promise<void>
  /**
   * Data, index, plan and findings are durable under their blob names when it resolves.
   * @throws TroubleError; nothing remains then
   */
  finish(): Promise<Inspection>
  /** Nothing remains. Safe at any time. */
  abort(): Promise<void>
}

export type IntakeOptions = {
  blobFolder: string
  limits: { lineBytesMax: number; fileBytesMax: number; fileLinesMax: number }
  random: Random
  /** The thread died: every upload has failed, and the process should end. */
  onDeath: (cause: Error) => void
}

/** What the worker is started with and called with. */
export type IntakeWorkerData = Pick<IntakeOptions, 'blobFolder' | 'limits'>
export type UploadCall = { uploadNumber: number }
export type BeginCall = UploadCall & { fileId: string; seed: Uint8Array }
export type WriteCall = UploadCall & { chunk: Uint8Array<ArrayBuffer> }
/** The chunk's memory comes back and is used again, so that an upload makes no garbage outside the heap. */
export type WriteReply = { transfer: readonly [ArrayBuffer] }

/** Guess: bytes gathered before they go to the worker, so that small network reads cost no message each. */
const CHUNK_BYTES = 256 * 1024
/** Guess: bytes of one upload on their way to the worker. */
const UNTAKEN_BYTES_MAX = 4 * 1024 * 1024
/** Guess: chunks kept for the next write, of all uploads together. */
const SPARE_CHUNKS_MAX = UNTAKEN_BYTES_MAX / CHUNK_BYTES

/** @returns an intake over a folder that it makes; uploads that a stopped process left there are removed. */
export function startIntake(options: IntakeOptions): Intake {
  const { blobFolder, limits, random } = options
  const data: IntakeWorkerData = { blobFolder, limits }
  const worker = startWorker(workerUrl(import.meta.url, 'intake-worker'), { data, onDeath: options.onDeath })
  const counter = createTokenCounter()
  const spare: ArrayBuffer[] = []
  let lastNumber = 0
  return {
    begin(fileId) {
      assert(/^[a-z0-9][a-z0-9_-]*$/.test(fileId), 'a file id is made of [a-z0-9_-]')
      lastNumber += 1
      const begin: BeginCall = { uploadNumber: lastNumber, fileId, seed: random.bytes(8) }
      return new ForwardedUpload({ worker, begin, fileBytesMax: limits.fileBytesMax, spare, counter })
    },
    async stop() {
      await worker.stop()
      await counter.stop()
    },
  }
}

/** The main thread's end of an upload: copies chunks, keeps a bounded number of bytes on their way, remembers the first failure. */
class ForwardedUpload implements IntakeUpload {
  private readonly worker: WorkerClient
  private readonly uploadNumber: number
  private readonly fileBytesMax: number
  private readonly spare: ArrayBuffer[]
  private readonly counter: TokenCounter
  private bytes = 0
  private staged: Uint8Array<ArrayBuffer> | null = null
  private stagedBytes = 0
  private untaken = 0
  private failure: unknown = null
  private hasEnded = false
  /** Wakes a `write` that waits for room, or learns of a failure. */
  private wake: (() => void) | null = null

  constructor(options: {
    worker: WorkerClient
    begin: BeginCall
    fileBytesMax: number
    /** Memory of chunks that came back; shared by all uploads. */
    spare: ArrayBuffer[]
    counter: TokenCounter
  }) {
    this.worker = options.worker
    this.uploadNumber = options.begin.uploadNumber
    this.fileBytesMax = options.fileBytesMax
    this.spare = options.spare
    this.counter = options.counter
    this.worker.call('begin', options.begin).catch((thrown: unknown) => this.fail(thrown))
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.check()
    this.bytes += chunk.byteLength
    countOutsideMemory(chunk.byteLength)
    if (this.bytes > this.fileBytesMax) {
      await this.abort()
      const message = `File is too large. The limit is ${this.fileBytesMax} bytes.`
      this.failure = new RefusedError('file_too_large', message, { details: { bytesMax: this.fileBytesMax } })
      throw this.failure
    }
    let at = 0
    while (at < chunk.byteLength) {
      at += this.stage(chunk, at)
      while (this.untaken > UNTAKEN_BYTES_MAX - CHUNK_BYTES && this.failure === null) {
        await new Promise<void>((resolve) => {
          this.wake = resolve
        })
      }
      this.check()
    }
  }

  async finish(): Promise<Inspection> {
    this.check()
    this.hasEnded = true
    this.send()
    const { samples, ...inspection } = await this.inspect()
    return { ...inspection, models: await this.counter.count(inspection.models, samples) }
  }

  private async inspect(): Promise<Inspection & Pick<Sampled, 'samples'>> {
    try {
      return await this.worker.call('finish', { uploadNumber: this.uploadNumber })
    } catch (thrown) {
      // A write before it may have failed first; that is the reason to tell.
      throw this.failure ?? thrown
    }
  }

  async abort(): Promise<void> {
    if (this.hasEnded) return
    this.hasEnded = true
    this.staged = null
    this.failure ??= new TroubleError('stopped', 'this upload was aborted')
    this.wake?.()
    await this.worker.call('abort', { uploadNumber: this.uploadNumber }).catch(() => {
      // The worker is gone: it removed its uploads when it ended, or the next start does.
    })
  }

  /** Copies as much as the chunk in work takes. @returns bytes taken */
  private stage(chunk: Uint8Array, at: number): number {
    this.staged ??= new Uint8Array(this.spare.pop() ?? new ArrayBuffer(CHUNK_BYTES))
    const count = Math.min(chunk.byteLength - at, CHUNK_BYTES - this.stagedBytes)
    this.staged.set(chunk.subarray(at, at + count), this.stagedBytes)
    this.stagedBytes += count
    if (this.stagedBytes === CHUNK_BYTES) this.send()
    return count
  }

  private send(): void {
    if (this.staged === null || this.stagedBytes === 0) return
    const chunk = this.staged.subarray(0, this.stagedBytes)
    const bytes = chunk.byteLength
    this.staged = null
    this.stagedBytes = 0
    this.untaken += bytes
    const call: WriteCall = { uploadNumber: this.uploadNumber, chunk }
    this.worker.call<WriteReply>('write', call, [chunk.buffer]).then(
      ({ transfer }) => {
        this.untaken -= bytes
        if (this.spare.length < SPARE_CHUNKS_MAX) this.spare.push(transfer[0])
        this.wake?.()
      },
      (thrown: unknown) => this.fail(thrown),
    )
  }

  private fail(thrown: unknown): void {
    this.failure ??= thrown
    this.wake?.()
  }

  private check(): void {
    if (this.failure !== null) throw this.failure
    assert(!this.hasEnded, 'an upload that has ended takes no bytes')
  }
}
