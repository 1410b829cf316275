import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  entriesOf,
  execute,
  flipped,
  LINES,
  type Line,
  layout,
  line,
  loggedDisk,
  Run,
  recovered,
  script,
  violations,
} from '../../../test/kit/log-scenario.ts'
import { CrashError, createSimulatedDisk, type SimulatedDisk } from '../../../test/kit/simulated-disk.ts'
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
    const crashing = again.withFault({ at, kind: 'crash-before' })
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

test('lines that a full disk did not take are not found behind a checkpoint that came before the next try', () => {
  const probe = createSimulatedDisk()
  new Run(recover(probe, layout).log).append([line(1, 0)])
  const syncOfNext = probe.calls() + 2
  const disk = createSimulatedDisk({ fault: { at: syncOfNext, kind: 'full' } })
  const { log } = recover(disk, layout)
  const run = new Run(log)
  run.append([line(1, 0)])
  assert.throws(() => run.append([line(1, 1)]), { code: 'disk_full' })
  log.beginCheckpoint()
  const chunkAgain = new Run(log)
  chunkAgain.append([line(2, 0)])
  const found = recovered(disk.after('everything', createSeededRandom(1)), [1, 2])
  assert.deepEqual([...found.damaged.values()], [])
  assert.deepEqual([found.texts.get(1)?.size, found.texts.get(2)?.size], [1, 1])
})

test('a checkpoint of many batches goes on in short pieces, and lets go of the log behind the last one', () => {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const run = new Run(log)
  const seqs = Array.from({ length: 40 }, (_, index) => index + 1)
  run.append(seqs.map((seq) => line(seq, 0)))
  log.beginCheckpoint()
  let pieces = 0
  for (; log.isCheckpointing; pieces += 1) {
    assert.ok(pieces < seqs.length, 'it ends')
    const before = disk.calls()
    log.continueCheckpoint()
    assert.ok(disk.calls() - before < seqs.length, `one piece has ${disk.calls() - before} calls`)
    run.append([line(1, pieces + 1)])
  }
  assert.ok(pieces > 10)
  assert.equal(disk.list(layout.log).filter((name) => name.endsWith('.log')).length, 1)
  assert.deepEqual(violations(run, recovered(disk.after('synced', createSeededRandom(1)), seqs)), [])
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

/** A log of one write each, with a flipped bit in the last frame of the writes that are named. */
function damagedLog(writes: readonly (readonly Line[])[], damaged: readonly number[]): SimulatedDisk {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const run = new Run(log)
  const [name] = disk.list(layout.log).filter((entry) => entry.endsWith('.log'))
  const path = `${layout.log}/${name}`
  const ends = writes.map((lines) => {
    run.append(lines)
    const file = disk.open(path, 'read')
    return disk.size(file)
  })
  const entries = entriesOf(disk)
  const whole = entries.get(path)
  assert.ok(whole !== undefined && whole !== 'folder')
  const bytes = damaged.reduce((harmed, write) => flipped(harmed, (ends[write] ?? 0) - 2), whole.bytes)
  return createSimulatedDisk({ entries: new Map([...entries, [path, { bytes, synced: bytes }]]) })
}

test('a batch of whose files only one goes on behind the damage is stopped: the other may have lost its last line', () => {
  // Line 4 stands in the error file, the ones around it in the output.
  const disk = damagedLog([[line(1, 3)], [line(1, 4)], [line(1, 5)]], [1])
  assert.match(recovered(disk, [1]).damaged.get(1) ?? '', /damaged at byte/)
})

test('a batch that was whole behind one damage is judged again behind the next', () => {
  const writes = [[line(2, 0)], [line(1, 0), line(1, 4)], [line(1, 1)], [line(2, 1)]]
  const disk = damagedLog(writes, [0, 2])
  assert.deepEqual([...recovered(disk, [1, 2]).damaged.keys()], [1, 2])
})

test('a live batch that the damaged log does not name is stopped, also when the first start came to nothing', () => {
  const disk = damagedLog([[line(1, 0)], [line(2, 0)], [line(1, 1)]], [1])
  recover(disk, layout).log.close()
  const found = recovered(disk, [1, 2])
  assert.match(found.damaged.get(2) ?? '', /damaged at byte/)
  assert.deepEqual([...recovered(disk, [1, 2, 3]).damaged.keys()], [1, 2], 'a later batch is not concerned')
})

test('a damaged header of its records stops one batch, not the start', () => {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  new Run(log).append([line(1, 0), line(2, 0)])
  log.checkpoint()
  const entries = entriesOf(disk)
  const records = entries.get(layout.records(1))
  assert.ok(records !== undefined && records !== 'folder')
  // The size of a record.
  const bytes = flipped(records.bytes, 8)
  entries.set(layout.records(1), { bytes, synced: bytes })
  assert.deepEqual([...recovered(createSimulatedDisk({ entries }), [1, 2]).damaged.keys()], [1])
})

test('wherever a crash tears the header of a new segment, the start goes on', () => {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const [name] = disk.list(layout.log).filter((entry) => entry.endsWith('.log'))
  log.close()
  const path = `${layout.log}/${name}`
  const entries = entriesOf(disk)
  const whole = entries.get(path)
  assert.ok(whole !== undefined && whole !== 'folder')
  for (let end = 0; end <= SEGMENT_HEADER_BYTES; end += 1) {
    const cut = whole.bytes.subarray(0, end)
    for (const bytes of [cut, Buffer.concat([cut, Buffer.alloc(SEGMENT_HEADER_BYTES - end)])]) {
      const torn = createSimulatedDisk({ entries: new Map([...entries, [path, { bytes, synced: bytes }]]) })
      assert.equal(recovered(torn, [1]).damaged.size, 0, `torn at ${end}`)
    }
  }
})

test('a start that is cut off anywhere leaves what stops a damaged batch, and why', () => {
  const damaged = (): SimulatedDisk =>
    damagedLog([[line(1, 0)], [line(2, 0)], [line(3, 0), line(3, 4)], [line(3, 1), line(3, 9)]], [1])
  const probe = damaged()
  assert.deepEqual([...recovered(probe).damaged.keys()], [1, 2])
  for (let at = 1; at <= probe.calls(); at += 1) {
    for (const image of ['synced', 'everything', 'random'] as const) {
      const crashing = damaged().withFault({ at, kind: 'crash-after' })
      assert.throws(() => recovered(crashing), CrashError)
      const left = crashing.after(image, createSeededRandom(at))
      recovered(left)
      const found = recovered(left)
      assert.deepEqual([...found.damaged.keys()], [1, 2], `${probe.names()[at - 1]}, ${image}`)
      for (const reason of found.damaged.values()) assert.match(reason, /damaged at byte/)
      assert.equal(found.texts.get(3)?.size, 4)
    }
  }
})
