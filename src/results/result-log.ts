/**
 * The result log: where an answer goes the moment it arrives. One interface, implemented by `disk` (commit log + checkpoints).
 * Positions in the output and error file are assigned in append order and never change once durable.
 */
import type { Outcome, Tally } from '../domain/batch.ts'
import type { LineRecord } from './record.ts'

/** What the engine knows of a line's end; the log adds the position. */
export type Answer = Omit<LineRecord, 'position' | 'lineBytes' | 'outcome'> & { outcome: Outcome }

/** How far a batch's results have become durable. Monotone; numbers only grow. */
export type DurableMark = { seq: number; tally: Tally }

export type ResultFileKind = 'output' | 'error'

export type OpenedResults = {
  /** Folded from the recovered records. */
  tally: Tally
  /** Bit `lineIndex` is set when the line has its record. Length: one bit per line, rounded up to bytes. */
  recorded: Uint8Array
}

export type ReadPlan = {
  /** Whole lines from `fromLine` on that were durable when asked. */
  lines: number
  /** Byte range in the result file that holds exactly those lines. */
  start: number
  end: number
  /** Absolute path-like name for `readRange`. */
  source: string
}

export interface ResultLog {
  /**
   * Makes a batch's results ready for appending, after a crash too. Damage in front of a checkpoint is reported, never cut.
   * @throws TroubleError `damaged` with the reason; the batch must be halted.
   */
  open(seq: number, linesTotal: number): Promise<OpenedResults>
  /**
   * Takes one line's end. Never blocks and never fails: it becomes durable with the next sync, told through `onDurable`.
   * @param line the result line as parts that are written one after the other, UTF-8, no newline; one is added.
   *   The parts are copied before the call returns.
   */
  append(seq: number, answer: Answer, line: readonly (Uint8Array | string)[]): void
  /** Milliseconds (monotonic clock) since which the oldest unsynced answer waits; null when all is durable. */
  oldestUnsyncedAt(): number | null
  /** Called after every sync with the batches it touched. One listener. */
  onDurable(listener: (marks: readonly DurableMark[]) => void): void
  /** True while the disk refuses to take more; told again when that changes. Appended answers are kept and retried. */
  onBlocked(listener: (reason: string | null) => void): void
  /** Resolves when everything appended so far for the batch is durable and readable. */
  flush(seq: number): Promise<Tally>
  /** Flushes and syncs the batch's own files; no append may follow. */
  seal(seq: number): Promise<Tally>
  /**
   * Call once, after the start and before `open`: the live batches that may have lines. What a crash left of all others is let go.
   * Where the log is damaged, those that it does not name are marked as damaged: all their lines may have been lost.
   */
  retain(seqs: ReadonlySet<number>): Promise<void>
  /** The batch has ended or was given up: forgets what `open` keeps in memory. Its results stay readable. */
  release(seq: number): void
  /** Finds the bytes of the durable lines from `fromLine` on. Works while the batch runs and after it ended. */
  plan(seq: number, kind: ResultFileKind, fromLine: number): Promise<ReadPlan>
  /** Durable bytes of a result file. @param range end exclusive */
  readRange(source: string, range: { start: number; end: number }): AsyncIterable<Uint8Array>
  /** Lines of a sealed batch's file in input order, from a byte of that order on. Memory: 12 bytes a line. */
  readInputOrder(seq: number, kind: ResultFileKind, fromByte: number): AsyncIterable<Uint8Array>
  /** Durable records in order of durability, in pages; for analytics and rebuilds. */
  records(seq: number): AsyncIterable<readonly LineRecord[]>
  /** The same undecoded, for `scanRecords`. A page's bytes hold until the next one is asked for. */
  recordPages(seq: number): AsyncIterable<Uint8Array>
  /** One line of a record that was read, newline included. @throws TroubleError `damaged` when its file is gone */
  readLine(seq: number, kind: ResultFileKind, place: { position: number; bytes: number }): Promise<Buffer>
  /** Deletes one result file of a sealed batch. Records stay: counts and analytics outlive results. */
  removeFile(seq: number, kind: ResultFileKind): Promise<void>
  /** Syncs, checkpoints and ends. */
  close(): Promise<void>
}
