/**
 * The result log on a local disk: the main thread's side. Appends are encoded here and synced by the log thread; reads go to the
 * batches' own files without blocking. What a crash leaves behind, and how it is mended: `disk/commit-log.ts`.
 */
import { emptyTally, recordedLines, type Tally } from '../domain/batch.ts'
import type { Clock } from '../lib/clock.ts'
import { assert } from '../lib/errors.ts'
import { startWorker, type WorkerClient, workerUrl } from '../lib/worker-channel.ts'
import { ChunkWriter } from './disk/chunk-writer.ts'
import { layoutOf } from './disk/layout.ts'
import type { Appended, BlockedEvent } from './disk/log-worker.ts'
import { ResultReader } from './disk/result-reader.ts'
import { SyncTimes } from './disk/sync-times.ts'
import { foldRecord, type LineRecord } from './record.ts'
import type { Answer, DurableMark, OpenedResults, ReadPlan, ResultFileKind, ResultLog } from './result-log.ts'

export type DiskResultLog = ResultLog & {
  /** Received → durable of the oldest answer of each sync. */
  syncTimes(): { p50Ms: number; p99Ms: number; syncs: number }
}

/** What is appended, and what of it is durable. */
type OpenBatch = { appended: Tally; durable: Tally; isSealed: boolean }

/**
 * @param options folder: made when absent. onDeath: a sync failed or the thread died; what the disk holds is unknown, so the
 * process must end.
 * @throws TroubleError `damaged` when the log as a whole cannot be read
 */
export async function openDiskResultLog(options: {
  folder: string
  clock: Clock
  onDeath: (cause: Error) => void
}): Promise<DiskResultLog> {
  const events: { onBlocked: (reason: string | null) => void } = { onBlocked: () => undefined }
  const worker = startWorker(workerUrl(import.meta.url, 'disk/log-worker'), {
    data: { folder: options.folder },
    // Sent by `tellBlocked` alone.
    onEvent: (event) => events.onBlocked((event as BlockedEvent).blocked),
    onDeath: options.onDeath,
  })
  try {
    await worker.call('open', null)
  } catch (thrown) {
    await worker.stop()
    throw thrown
  }
  return new LocalResultLog(worker, new ResultReader(layoutOf(options.folder)), {
    clock: options.clock,
    events,
  })
}

class LocalResultLog implements DiskResultLog {
  readonly #worker: WorkerClient
  readonly #reader: ResultReader
  readonly #writer: ChunkWriter
  readonly #open = new Map<number, OpenBatch>()
  readonly #syncTimes = new SyncTimes()
  readonly #events: { onBlocked: (reason: string | null) => void }
  #listener: (marks: readonly DurableMark[]) => void = () => undefined

  constructor(
    worker: WorkerClient,
    reader: ResultReader,
    parts: { clock: Clock; events: { onBlocked: (reason: string | null) => void } },
  ) {
    this.#worker = worker
    this.#reader = reader
    this.#events = parts.events
    this.#writer = new ChunkWriter({
      monotonicMs: parts.clock.monotonicMs,
      send: (chunk, bytes) => worker.call<Appended>('append', { chunk, bytes }, [chunk]),
      onDurable: (sent) => this.#onDurable(sent),
    })
  }

  async open(seq: number, linesTotal: number): Promise<OpenedResults> {
    const opened = await this.#worker.call<OpenedResults>('openBatch', { seq, linesTotal })
    this.#open.set(seq, { appended: { ...opened.tally }, durable: opened.tally, isSealed: false })
    return { tally: { ...opened.tally }, recorded: opened.recorded }
  }

  append(seq: number, answer: Answer, line: readonly (Uint8Array | string)[]): void {
    const batch = this.#open.get(seq)
    assert(batch !== undefined, `batch ${seq} is open for appending`)
    const record: LineRecord = {
      ...answer,
      position: answer.outcome === 'succeeded' ? batch.appended.outputBytes : batch.appended.errorBytes,
      lineBytes: bytesOf(line) + 1,
    }
    foldRecord(batch.appended, record)
    this.#writer.append(seq, record, batch.appended, line)
  }

  oldestUnsyncedAt(): number | null {
    return this.#writer.oldestAt
  }

  onDurable(listener: (marks: readonly DurableMark[]) => void): void {
    this.#listener = listener
  }

  onBlocked(listener: (reason: string | null) => void): void {
    this.#events.onBlocked = listener
  }

  async flush(seq: number): Promise<Tally> {
    await this.#writer.drained()
    await this.#worker.call('flush', seq)
    return { ...(this.#open.get(seq)?.durable ?? emptyTally) }
  }

  async seal(seq: number): Promise<Tally> {
    await this.#writer.drained()
    await this.#worker.call('seal', seq)
    const batch = this.#open.get(seq)
    if (batch === undefined) return { ...emptyTally }
    batch.isSealed = true
    return { ...batch.durable }
  }

  async retain(seqs: ReadonlySet<number>): Promise<void> {
    await this.#worker.call('retain', seqs)
  }

  release(seq: number): void {
    this.#open.delete(seq)
  }

  async plan(seq: number, kind: ResultFileKind, fromLine: number): Promise<ReadPlan> {
    const batch = this.#open.get(seq)
    if (batch === undefined) return this.#reader.plan(seq, kind, { fromLine, known: null })
    // Taken before the flush: what is durable now is in the files then.
    const { durable } = batch
    await this.#worker.call('flush', seq)
    const known =
      kind === 'output'
        ? { lines: durable.outputLines, bytes: durable.outputBytes }
        : { lines: durable.errorLines, bytes: durable.errorBytes }
    return this.#reader.plan(seq, kind, { fromLine, known })
  }

  readRange(source: string, range: { start: number; end: number }): AsyncIterable<Uint8Array> {
    return this.#reader.readRange(source, range)
  }

  readInputOrder(seq: number, kind: ResultFileKind, fromByte: number): AsyncIterable<Uint8Array> {
    return this.#reader.inputOrder(seq, kind, fromByte)
  }

  async *records(seq: number): AsyncIterable<readonly LineRecord[]> {
    yield* this.#reader.records(seq, await this.#recordsReadable(seq))
  }

  async *recordPages(seq: number): AsyncIterable<Buffer> {
    yield* this.#reader.recordPages(seq, await this.#recordsReadable(seq))
  }

  readLine(seq: number, kind: ResultFileKind, place: { position: number; bytes: number }): Promise<Buffer> {
    return this.#reader.line(seq, kind, place)
  }

  async removeFile(seq: number, kind: ResultFileKind): Promise<void> {
    await this.#worker.call('removeFile', { seq, kind })
    await this.#reader.forget(seq, kind)
  }

  syncTimes(): { p50Ms: number; p99Ms: number; syncs: number } {
    return this.#syncTimes.read()
  }

  async close(): Promise<void> {
    await this.#writer.drained()
    await this.#worker.stop()
    await this.#reader.close()
  }

  /** Those that are durable when asked, and in the files when it resolves; null: all there are. */
  async #recordsReadable(seq: number): Promise<number | null> {
    const batch = this.#open.get(seq)
    if (batch === undefined) return null
    const records = recordedLines(batch.durable)
    // What was sealed has been flushed.
    if (!batch.isSealed) await this.#worker.call('flush', seq)
    return records
  }

  #onDurable(sent: { tallies: ReadonlyMap<number, Tally>; waitedMs: number }): void {
    this.#syncTimes.note(sent.waitedMs)
    const marks: DurableMark[] = []
    for (const [seq, tally] of sent.tallies) {
      const batch = this.#open.get(seq)
      if (batch !== undefined) batch.durable = tally
      marks.push({ seq, tally })
    }
    this.#listener(marks)
  }
}

function bytesOf(parts: readonly (Uint8Array | string)[]): number {
  let bytes = 0
  for (const part of parts) bytes += typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength
  return bytes
}
