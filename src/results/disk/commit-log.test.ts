import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  entriesOf,
  execute,
  flipped,
  LINES,
  layout,
  line,
  loggedDisk,
  Run,
  recovered,
  script,
  violations,
} from '../../../test/kit/log-scenario.ts'
import {
  CrashError,
  createSimulatedDisk,
  type Fault,
  type SimulatedDisk,
} from '../../../test/kit/simulated-disk.ts'
import { createSeededRandom } from '../../lib/random.ts'
import { RECORD_BYTES } from '../record.ts'
import { RECORDS_HEADER_BYTES } from './batch-files.ts'
import { GROUP_FRAME_BYTES, SEGMENT_HEADER_BYTES } from './log-format.ts'
import { scanRecords } from './record-scan.ts'
import { recover } from './recovery.ts'

// Crashes at every call, and torn or flipped bytes everywhere, are suites of the torture harness: `points` and `torn`.

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

test('a damaged header of the last segment is told, not taken for a segment that nothing was written to', () => {
  const { disk, segment } = loggedDisk()
  const entries = entriesOf(disk)
  const whole = entries.get(segment)
  assert.ok(whole !== undefined && whole !== 'folder')
  for (let at = 0; at < 4; at += 1) {
    const bytes = flipped(whole.bytes, at)
    const harmed = createSimulatedDisk({
      entries: new Map([...entries, [segment, { bytes, synced: bytes }]]),
    })
    assert.throws(() => recover(harmed, layout), { code: 'damaged' }, `flip at ${at}`)
  }
})

test('a recovery that is cut off leaves no torn tail that the next one would take for damage', () => {
  const { disk, run, segment } = loggedDisk()
  const entries = entriesOf(disk)
  const whole = entries.get(segment)
  assert.ok(whole !== undefined && whole !== 'folder')
  const torn = Buffer.concat([
    whole.bytes,
    whole.bytes.subarray(SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 50),
  ])
  entries.set(segment, { bytes: torn, synced: torn })
  const probe = createSimulatedDisk({ entries })
  recovered(probe)
  for (let at = 1; at <= probe.calls(); at += 1) {
    const crashed = createSimulatedDisk({ entries, fault: { at, kind: 'crash-after' } })
    assert.throws(() => recovered(crashed), CrashError)
    const found = recovered(crashed.after('everything', createSeededRandom(at)))
    assert.deepEqual(violations(run, found), [], `crash at call ${at}, ${probe.names()[at - 1]}`)
  }
})
