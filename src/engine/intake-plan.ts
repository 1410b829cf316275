/** Writes the line plan of an upload: a second pass over its index, grouped by model, in flat memory. */
import type { ModelShare } from '../domain/file.ts'
import { INDEX_ENTRY_BYTES, INDEX_HEADER_BYTES, modelNumberAt } from '../jsonl/line-index.ts'
import { encodePlanHeader, LINE_PLAN_ENTRY_BYTES, LINE_PLAN_HEADER_BYTES } from '../jsonl/line-plan.ts'
import type { Disk, FileHandle } from '../lib/disk.ts'
import { assert } from '../lib/errors.ts'

/** Guess: entries read at a time, 256 KiB. */
const ENTRIES_PER_READ = 4096
/** Guess: line indexes gathered per model, 4 KiB each; 4 MiB for as many models as a file may have. */
const GROUP_LINES_HELD = 1024

/** A model's part of the plan while it is written. */
type Group = { held: Buffer; lines: number; offset: number }

/** @param models with the number of lines each has; together they are all lines of the index */
export function writePlan(
  files: { disk: Disk; index: FileHandle; plan: FileHandle },
  models: readonly ModelShare[],
): void {
  const { disk } = files
  const lines = models.reduce((sum, share) => sum + share.lines, 0)
  disk.write(files.plan, encodePlanHeader({ lines, models: models.length }), 0)
  let offset = LINE_PLAN_HEADER_BYTES
  const groups = models.map((share): Group => {
    const group = { held: Buffer.allocUnsafeSlow(GROUP_LINES_HELD * LINE_PLAN_ENTRY_BYTES), lines: 0, offset }
    offset += share.lines * LINE_PLAN_ENTRY_BYTES
    return group
  })
  const flush = (group: Group): void => {
    const held = group.held.subarray(0, group.lines * LINE_PLAN_ENTRY_BYTES)
    disk.write(files.plan, held, group.offset)
    group.offset += held.byteLength
    group.lines = 0
  }
  const window = Buffer.allocUnsafeSlow(ENTRIES_PER_READ * INDEX_ENTRY_BYTES)
  for (let first = 0; first < lines; first += ENTRIES_PER_READ) {
    const count = Math.min(ENTRIES_PER_READ, lines - first)
    const part = window.subarray(0, count * INDEX_ENTRY_BYTES)
    const filled = disk.read(files.index, part, INDEX_HEADER_BYTES + first * INDEX_ENTRY_BYTES)
    assert(filled === part.byteLength, 'the index has an entry for every line')
    for (let place = 0; place < count; place += 1) {
      const group = groups[modelNumberAt(part, place * INDEX_ENTRY_BYTES)]
      assert(group !== undefined, 'an index entry names a model of the file')
      group.held.writeUInt32LE(first + place, group.lines * LINE_PLAN_ENTRY_BYTES)
      group.lines += 1
      if (group.lines === GROUP_LINES_HELD) flush(group)
    }
  }
  for (const group of groups) flush(group)
  assert(groups.at(-1)?.offset === offset, 'the groups fill the plan')
}
