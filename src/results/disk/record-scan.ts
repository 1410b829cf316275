/** Reads a batch's records from its own file, and judges whether they fit together. */
import { emptyTally, type Tally } from '../../domain/batch.ts'
import { hasBit, newBitmap, setBit } from '../../lib/bitmap.ts'
import type { Disk } from '../../lib/disk.ts'
import { checkFormatHeader } from '../../lib/format-header.ts'
import { decodeRecord, foldRecord, RECORD_BYTES } from '../record.ts'
import { RECORDS_HEADER_BYTES, recordsFormat } from './batch-files.ts'
import type { Layout } from './layout.ts'

export type Scanned = { tally: Tally; recorded: Uint8Array } | { damage: string }

/** Records read at once: 1 MiB. */
const RECORDS_PER_READ = 13_107

/** @param linesTotal lines of the batch's input; a record beyond it is damage. */
export function scanRecords(disk: Disk, layout: Layout, batch: { seq: number; linesTotal: number }): Scanned {
  const { seq, linesTotal } = batch
  if (disk.exists(layout.damage(seq))) return { damage: readText(disk, layout.damage(seq)) }
  const tally = { ...emptyTally }
  const recorded = newBitmap(linesTotal)
  const path = layout.records(seq)
  if (!disk.exists(path)) return { tally, recorded }
  const file = disk.open(path, 'read')
  try {
    const bytes = Math.max(0, disk.size(file) - RECORDS_HEADER_BYTES)
    const blockBytes = Math.max(RECORDS_HEADER_BYTES, Math.min(RECORDS_PER_READ * RECORD_BYTES, bytes))
    const block = Buffer.allocUnsafeSlow(blockBytes)
    if (bytes > 0) {
      disk.read(file, block.subarray(0, RECORDS_HEADER_BYTES), 0)
      checkFormatHeader(block, recordsFormat)
    }
    if (bytes % RECORD_BYTES !== 0) return { damage: `${path} ends inside a record` }
    for (let at = 0; at < bytes; ) {
      const filled = disk.read(
        file,
        block.subarray(0, Math.min(block.byteLength, bytes - at)),
        RECORDS_HEADER_BYTES + at,
      )
      for (let place = 0; place < filled; place += RECORD_BYTES) {
        const damage = foldOne(block, place, { tally, recorded, linesTotal })
        if (damage !== null) return { damage: `${path}, record ${(at + place) / RECORD_BYTES}: ${damage}` }
      }
      at += filled
    }
  } finally {
    disk.close(file)
  }
  const shortFile = (['output', 'error'] as const).find((kind) => {
    const wanted = kind === 'output' ? tally.outputBytes : tally.errorBytes
    return wanted > 0 && sizeOf(disk, layout.lines(seq, kind)) < wanted
  })
  return shortFile === undefined
    ? { tally, recorded }
    : { damage: `${layout.lines(seq, shortFile)} is shorter than its records say` }
}

/** @returns what is wrong with the record, or null. */
function foldOne(
  block: Buffer,
  place: number,
  state: { tally: Tally; recorded: Uint8Array; linesTotal: number },
): string | null {
  const record = decodeRecord(block, place)
  if (record === null) return 'its checksum does not hold'
  if (record.lineIndex >= state.linesTotal) return `line ${record.lineIndex} of ${state.linesTotal}`
  if (hasBit(state.recorded, record.lineIndex)) return `line ${record.lineIndex} has a second record`
  const expected = record.outcome === 'succeeded' ? state.tally.outputBytes : state.tally.errorBytes
  if (record.position !== expected) return `position ${record.position}, expected ${expected}`
  setBit(state.recorded, record.lineIndex)
  foldRecord(state.tally, record)
  return null
}

/** A deleted result file of an ended batch is never opened for appending, so a missing one is damage. */
function sizeOf(disk: Disk, path: string): number {
  if (!disk.exists(path)) return 0
  const file = disk.open(path, 'read')
  try {
    return disk.size(file)
  } finally {
    disk.close(file)
  }
}

function readText(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(disk.size(file))
    disk.read(file, bytes, 0)
    return bytes.toString('utf8')
  } finally {
    disk.close(file)
  }
}
