/**
 * The result log on a simulated disk: a scenario that meets every kind of file call, what it was promised, and what is missing of
 * that after a crash.
 */
import assert from 'node:assert/strict'
import { hasBit } from '../../src/lib/bitmap.ts'
import { TroubleError } from '../../src/lib/errors.ts'
import type { CommitLog } from '../../src/results/disk/commit-log.ts'
import { requireKnownFormats } from '../../src/results/disk/format-check.ts'
import { layoutOf } from '../../src/results/disk/layout.ts'
import {
  encodeLineHeader,
  FRAME_HEADER_BYTES,
  GROUP_FRAME_BYTES,
  LINE_FRAME_BYTES,
} from '../../src/results/disk/log-format.ts'
import { type LogState, openBatch, retain } from '../../src/results/disk/log-steps.ts'
import { recover } from '../../src/results/disk/recovery.ts'
import { encodeRecord, type LineRecord } from '../../src/results/record.ts'
import { CrashError, createSimulatedDisk, type Entries, type SimulatedDisk } from './simulated-disk.ts'

export const layout = layoutOf('/results')
export const LINES = 40

export type Line = { seq: number; lineIndex: number; isOutput: boolean; text: string }

/** What the log has promised: lines whose append returned. */
export class Run {
  readonly durable: Line[] = []
  readonly appended: Line[] = []
  readonly #sizes = new Map<string, number>()
  readonly #log: CommitLog

  constructor(log: CommitLog) {
    this.#log = log
  }

  append(lines: readonly Line[]): void {
    const chunk = encodeChunk(lines, (line, bytes) => {
      const key = `${line.seq} ${line.isOutput}`
      const position = this.#sizes.get(key) ?? 0
      this.#sizes.set(key, position + bytes)
      return position
    })
    this.appended.push(...lines)
    this.#log.append(chunk)
    this.durable.push(...lines)
  }
}

/** The chunk that the log takes. @param place asked for each line's position in its file, in order; it is told the line's bytes. */
export function encodeChunk(lines: readonly Line[], place: (line: Line, bytes: number) => number): Buffer {
  const frames = lines.map((line) => {
    const payload = Buffer.from(`${line.text}\n`)
    const position = place(line, payload.byteLength)
    const frame = Buffer.alloc(LINE_FRAME_BYTES + payload.byteLength)
    encodeLineHeader(frame, 0, { seq: line.seq, payloadBytes: payload.byteLength })
    encodeRecord(recordOf(line, position, payload.byteLength), frame, FRAME_HEADER_BYTES)
    payload.copy(frame, LINE_FRAME_BYTES)
    return frame
  })
  return Buffer.concat([Buffer.alloc(GROUP_FRAME_BYTES), ...frames])
}

function recordOf(line: Line, position: number, lineBytes: number): LineRecord {
  return {
    lineIndex: line.lineIndex,
    outcome: line.isOutput ? 'succeeded' : 'failed',
    position,
    lineBytes,
    httpStatus: 200,
    attempts: 1,
    startedAt: 1,
    recordedAt: 2,
    upstreamMs: 1,
    firstByteMs: 1,
    usage: null,
    upstreamNumber: 0,
  }
}

export const line = (seq: number, lineIndex: number): Line => ({
  seq,
  lineIndex,
  isOutput: lineIndex % 5 !== 4,
  text: `{"batch":${seq},"line":${lineIndex},"text":"${'x'.repeat((lineIndex * 37) % 90)}"}`,
})

/** Several batches, a checkpoint in the middle with one of them sealed, more lines, a file deleted, a second checkpoint. */
export function script(log: CommitLog, run: Run): void {
  for (let index = 0; index < LINES; index += 4) {
    const ofSecond = index <= 28 ? [line(2, index), line(2, index + 1)] : []
    run.append([line(1, index), ...ofSecond, line(1, index + 1), line(1, index + 2), line(1, index + 3)])
    if (index === 12) log.files.flush(1)
    if (index === 16) log.beginCheckpoint()
    // Its pieces lie between the appends that come next.
    log.continueCheckpoint()
    if (index === 28) log.seal(2)
    if (index === 28) log.checkpoint()
  }
  run.append([line(3, 0)])
}

/** A start of the log, and what each batch has then. */
export function recovered(
  disk: SimulatedDisk,
  seqs: readonly number[] = [1, 2, 3],
): { texts: Map<number, Map<number, string>>; damaged: Map<number, string> } {
  requireKnownFormats(disk, layout.folder)
  const state: LogState = { disk, layout, recovered: recover(disk, layout) }
  retain(state, new Set(seqs))
  const texts = new Map<number, Map<number, string>>()
  const damaged = new Map<number, string>()
  for (const seq of seqs) {
    try {
      const opened = openBatch(state, { seq, linesTotal: LINES })
      texts.set(seq, linesOf(disk, seq, opened.recorded))
    } catch (thrown) {
      // The engine halts the one, and holds the other until a program comes that reads it.
      if (!(thrown instanceof TroubleError && ['damaged', 'unsupported'].includes(thrown.code))) throw thrown
      damaged.set(seq, thrown.message)
    }
  }
  state.recovered.log.close()
  return { texts, damaged }
}

function linesOf(disk: SimulatedDisk, seq: number, recorded: Uint8Array): Map<number, string> {
  const found = new Map<number, string>()
  for (const kind of ['output', 'error'] as const) {
    for (const text of readText(disk, layout.lines(seq, kind))
      .split('\n')
      .filter((part) => part !== '')) {
      const { line: lineIndex } = JSON.parse(text)
      assert.ok(!found.has(lineIndex), `line ${lineIndex} of batch ${seq} stands twice`)
      assert.ok(hasBit(recorded, lineIndex), `line ${lineIndex} of batch ${seq} has no record`)
      found.set(lineIndex, text)
    }
  }
  return found
}

function readText(disk: SimulatedDisk, path: string): string {
  if (!disk.exists(path)) return ''
  const file = disk.open(path, 'read')
  const bytes = Buffer.alloc(disk.size(file))
  disk.read(file, bytes, 0)
  disk.close(file)
  return bytes.toString()
}

/** @returns what the promises miss, or nothing */
export function violations(run: Run, found: ReturnType<typeof recovered>): string[] {
  const missing = run.durable
    .filter(({ seq, lineIndex, text }) => found.texts.get(seq)?.get(lineIndex) !== text)
    .map(({ seq, lineIndex }) => `durable line ${lineIndex} of batch ${seq} is lost`)
  const appended = new Set(run.appended.map(({ text }) => text))
  const invented = [...found.texts.values()].flatMap((texts) =>
    [...texts.values()].filter((text) => !appended.has(text)),
  )
  const damaged = [...found.damaged].map(([seq, reason]) => `batch ${seq} is damaged: ${reason}`)
  return [...missing, ...invented.map((text) => `invented: ${text}`), ...damaged]
}

/** Runs the script on a disk with a fault. @returns the run and whether it came to its end */
export function execute(disk: SimulatedDisk): { run: Run | null; isWhole: boolean } {
  let run: Run | null = null
  try {
    const { log } = recover(disk, layout)
    run = new Run(log)
    script(log, run)
    log.close()
    return { run, isWhole: true }
  } catch (thrown) {
    if (thrown instanceof CrashError || thrown instanceof TroubleError) return { run, isWhole: false }
    throw thrown
  }
}

/** Every entry, all of it synced. */
export function entriesOf(disk: SimulatedDisk): Entries {
  const entries: Entries = new Map([['/', 'folder']])
  const walk = (folder: string): void => {
    for (const name of disk.list(folder)) {
      const path = folder === '/' ? `/${name}` : `${folder}/${name}`
      try {
        const file = disk.open(path, 'read')
        const bytes = Buffer.alloc(disk.size(file))
        disk.read(file, bytes, 0)
        disk.close(file)
        entries.set(path, { bytes, synced: Buffer.from(bytes) })
      } catch {
        // A folder cannot be opened as a file.
        entries.set(path, 'folder')
        walk(path)
      }
    }
  }
  walk('/')
  return entries
}

/** A log whose lines are all still in it: one segment, no checkpoint behind the lines. */
export function loggedDisk(): { disk: SimulatedDisk; run: Run; segment: string } {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const run = new Run(log)
  for (let index = 0; index < LINES; index += 2)
    run.append([line(1, index), line(2, index), line(1, index + 1)])
  const [name] = disk.list(layout.log).filter((entry) => entry.endsWith('.log'))
  return { disk, run, segment: `${layout.log}/${name}` }
}

/** One bit of the byte is another. */
export function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 0x10
  return copy
}
