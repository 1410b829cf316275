import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CrashError,
  createSimulatedDisk,
  type Fault,
  type Image,
  type SimulatedDisk,
} from '../../../test/kit/simulated-disk.ts'
import { hasBit } from '../../lib/bitmap.ts'
import { TroubleError } from '../../lib/errors.ts'
import { createSeededRandom } from '../../lib/random.ts'
import { encodeRecord, type LineRecord, RECORD_BYTES } from '../record.ts'
import { RECORDS_HEADER_BYTES } from './batch-files.ts'
import type { CommitLog, Defects } from './commit-log.ts'
import { layoutOf } from './layout.ts'
import {
  encodeLineHeader,
  FRAME_HEADER_BYTES,
  GROUP_FRAME_BYTES,
  LINE_FRAME_BYTES,
  SEGMENT_HEADER_BYTES,
} from './log-format.ts'
import { scanRecords } from './record-scan.ts'
import { recover } from './recovery.ts'

const layout = layoutOf('/results')
const LINES = 40

type Line = { seq: number; lineIndex: number; isOutput: boolean; text: string }

/** What the log has promised: lines whose append returned. */
class Run {
  readonly durable: Line[] = []
  readonly appended: Line[] = []
  readonly #sizes = new Map<string, number>()
  readonly #log: CommitLog

  constructor(log: CommitLog) {
    this.#log = log
  }

  append(lines: readonly Line[]): void {
    const frames = lines.map((line) => {
      const payload = Buffer.from(`${line.text}\n`)
      const key = `${line.seq} ${line.isOutput}`
      const position = this.#sizes.get(key) ?? 0
      this.#sizes.set(key, position + payload.byteLength)
      const frame = Buffer.alloc(LINE_FRAME_BYTES + payload.byteLength)
      encodeLineHeader(frame, 0, { seq: line.seq, payloadBytes: payload.byteLength })
      encodeRecord(recordOf(line, position, payload.byteLength), frame, FRAME_HEADER_BYTES)
      payload.copy(frame, LINE_FRAME_BYTES)
      return frame
    })
    this.appended.push(...lines)
    this.#log.append(Buffer.concat([Buffer.alloc(GROUP_FRAME_BYTES), ...frames]))
    this.durable.push(...lines)
  }
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

const line = (seq: number, lineIndex: number): Line => ({
  seq,
  lineIndex,
  isOutput: lineIndex % 5 !== 4,
  text: `{"batch":${seq},"line":${lineIndex},"text":"${'x'.repeat((lineIndex * 37) % 90)}"}`,
})

/** Several batches, a checkpoint in the middle with one of them sealed, more lines, a file deleted, a second checkpoint. */
function script(log: CommitLog, run: Run): void {
  for (let index = 0; index < LINES; index += 4) {
    const ofSecond = index <= 28 ? [line(2, index), line(2, index + 1)] : []
    run.append([line(1, index), ...ofSecond, line(1, index + 1), line(1, index + 2), line(1, index + 3)])
    if (index === 12) log.files.flush(1)
    if (index === 16) log.checkpoint()
    if (index === 28) log.checkpoint([2])
  }
  run.append([line(3, 0)])
}

function recovered(
  disk: SimulatedDisk,
  defects: Defects = {},
): { texts: Map<number, Map<number, string>>; damaged: Map<number, string> } {
  const { log, damaged } = recover(disk, layout, defects)
  const texts = new Map<number, Map<number, string>>()
  for (const seq of [1, 2, 3]) {
    const scanned = scanRecords(disk, layout, { seq, linesTotal: LINES })
    if ('damage' in scanned) {
      damaged.set(seq, scanned.damage)
      continue
    }
    texts.set(seq, linesOf(disk, seq, scanned.recorded))
  }
  log.close()
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
function violations(run: Run, found: ReturnType<typeof recovered>): string[] {
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
function execute(disk: SimulatedDisk, defects: Defects = {}): { run: Run | null; isWhole: boolean } {
  let run: Run | null = null
  try {
    const { log } = recover(disk, layout, defects)
    run = new Run(log)
    script(log, run)
    log.close()
    return { run, isWhole: true }
  } catch (thrown) {
    if (thrown instanceof CrashError || thrown instanceof TroubleError) return { run, isWhole: false }
    throw thrown
  }
}

const images: readonly Image[] = ['synced', 'everything', 'random']

function crashEverywhere(defects: Defects): { points: number; found: string[] } {
  const whole = createSimulatedDisk()
  execute(whole)
  const points = whole.calls()
  const found: string[] = []
  for (let at = 1; at <= points; at += 1) {
    for (const kind of ['crash-before', 'crash-after'] as const) {
      for (const image of images) {
        const fault: Fault = { at, kind }
        const disk = createSimulatedDisk({ fault })
        const { run } = execute(disk, defects)
        if (run === null) continue
        const after = disk.after(image, createSeededRandom(at))
        found.push(
          ...violations(run, recovered(after, defects)).map(
            (what) => `${kind} call ${at}, ${image}: ${what}`,
          ),
        )
      }
    }
  }
  return { points, found }
}

test('a crash before or after any file call loses no durable line and invents none', (t) => {
  const { points, found } = crashEverywhere({})
  assert.deepEqual(found.slice(0, 5), [])
  assert.ok(points > 60)
  t.diagnostic(`${points} points × before and after × ${images.length} images`)
})

test('acknowledging before the sync is caught', () => {
  assert.ok(crashEverywhere({ skipsSync: true }).found.length > 0)
})

test('a second crash, during the recovery itself, loses nothing either', () => {
  const first = createSimulatedDisk({ fault: { at: 70, kind: 'crash-after' } })
  const { run } = execute(first)
  assert.ok(run !== null)
  const probe = first.after('everything', createSeededRandom(1))
  recovered(probe)
  for (let at = 1; at <= probe.calls(); at += 1) {
    const again = first.after('everything', createSeededRandom(1))
    const crashing = withFault(again, { at, kind: 'crash-before' })
    try {
      recovered(crashing)
    } catch (thrown) {
      if (!(thrown instanceof CrashError)) throw thrown
    }
    assert.deepEqual(
      violations(run, recovered(crashing.after('synced', createSeededRandom(at)))),
      [],
      `crash at call ${at}`,
    )
  }
})

/** The same disk, with every entry synced, and a fault to come. */
function withFault(disk: SimulatedDisk, fault: Fault): SimulatedDisk {
  const faulty = createSimulatedDisk({ fault, entries: entriesOf(disk) })
  return faulty
}

function entriesOf(disk: SimulatedDisk): Map<string, { bytes: Buffer; synced: Buffer } | 'folder'> {
  const entries = new Map<string, { bytes: Buffer; synced: Buffer } | 'folder'>([['/', 'folder']])
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

test('a full disk refuses the lines and nothing of them is found later', () => {
  const whole = createSimulatedDisk()
  execute(whole)
  for (let at = 1; at <= whole.calls(); at += 1) {
    const disk = createSimulatedDisk({ fault: { at, kind: 'full' } })
    const { run } = execute(disk)
    if (run === null) continue
    assert.deepEqual(
      violations(run, recovered(disk.after('synced', createSeededRandom(at)))),
      [],
      `full at call ${at}`,
    )
  }
})

/** A log whose lines are all still in it: one segment, no checkpoint behind the lines. */
function loggedDisk(): { disk: SimulatedDisk; run: Run; segment: string } {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const run = new Run(log)
  for (let index = 0; index < LINES; index += 2)
    run.append([line(1, index), line(2, index), line(1, index + 1)])
  const [name] = disk.list(layout.log).filter((entry) => entry.endsWith('.log'))
  return { disk, run, segment: `${layout.log}/${name}` }
}

test('wherever the unsynced tail is cut or flipped, nothing synced is lost and no garbage is taken', () => {
  const { disk, run, segment } = loggedDisk()
  const entries = entriesOf(disk)
  const whole = entries.get(segment)
  assert.ok(whole !== undefined && whole !== 'folder')
  // An unsynced write behind the last sync: a chunk that was cut short by a crash.
  const tail = Buffer.from(whole.bytes.subarray(whole.bytes.byteLength - 700))
  for (let cut = 0; cut < tail.byteLength; cut += 1) {
    const torn = Buffer.concat([whole.bytes, cut % 2 === 0 ? tail.subarray(0, cut) : flipped(tail, cut)])
    const found = recovered(
      createSimulatedDisk({ entries: new Map([...entries, [segment, { bytes: torn, synced: torn }]]) }),
    )
    const lost = violations(run, found).filter((what) => !what.includes('damaged'))
    assert.deepEqual(lost, [], `tail of ${cut} bytes`)
  }
})

test('damage in front of a sync stops the batches concerned and cuts nothing', () => {
  const { disk, segment } = loggedDisk()
  const entries = entriesOf(disk)
  const whole = entries.get(segment)
  assert.ok(whole !== undefined && whole !== 'folder')
  const last = whole.bytes.byteLength - 2_000
  for (let at = SEGMENT_HEADER_BYTES + GROUP_FRAME_BYTES; at < last; at += 13) {
    const bytes = flipped(whole.bytes, at)
    const found = recovered(
      createSimulatedDisk({ entries: new Map([...entries, [segment, { bytes, synced: bytes }]]) }),
    )
    const texts = [...found.texts].flatMap(([seq, lines]) => (found.damaged.has(seq) ? [] : [lines.size]))
    assert.ok(found.damaged.size > 0 || texts.length === 3, `flip at ${at}`)
    for (const [seq, lines] of found.texts) {
      for (const [lineIndex, text] of lines) assert.equal(text, line(seq, lineIndex).text)
    }
  }
})

test('without the checksum a flipped bit becomes an answer', () => {
  const { disk, segment } = loggedDisk()
  const entries = entriesOf(disk)
  const whole = entries.get(segment)
  assert.ok(whole !== undefined && whole !== 'folder')
  const at = SEGMENT_HEADER_BYTES + GROUP_FRAME_BYTES + LINE_FRAME_BYTES + 24
  const bytes = flipped(whole.bytes, at)
  const found = recovered(
    createSimulatedDisk({ entries: new Map([...entries, [segment, { bytes, synced: bytes }]]) }),
    { skipsChecksum: true },
  )
  assert.notEqual(found.texts.get(1)?.get(0), line(1, 0).text)
})

test('a record that is flipped, missing or doubled stops its batch with a reason', () => {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const run = new Run(log)
  script(log, run)
  log.checkpoint()
  log.close()
  const entries = entriesOf(disk)
  const records = entries.get(layout.records(1))
  assert.ok(records !== undefined && records !== 'folder')
  const changed = (bytes: Buffer): string => {
    const scanned = scanRecords(
      createSimulatedDisk({ entries: new Map([...entries, [layout.records(1), { bytes, synced: bytes }]]) }),
      layout,
      { seq: 1, linesTotal: LINES },
    )
    return 'damage' in scanned ? scanned.damage : 'whole'
  }
  assert.equal(changed(records.bytes), 'whole')
  for (let at = RECORDS_HEADER_BYTES; at < records.bytes.byteLength; at += 7) {
    assert.match(changed(flipped(records.bytes, at)), /record \d+:/, `flip at ${at}`)
  }
  const second = RECORDS_HEADER_BYTES + RECORD_BYTES
  assert.match(
    changed(
      Buffer.concat([records.bytes.subarray(0, second), records.bytes.subarray(second + RECORD_BYTES)]),
    ),
    /position/,
  )
  assert.match(
    changed(Buffer.concat([records.bytes, records.bytes.subarray(-RECORD_BYTES)])),
    /second record/,
  )
  assert.match(changed(records.bytes.subarray(0, -1)), /ends inside a record/)
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 0x10
  return copy
}
