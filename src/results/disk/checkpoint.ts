/** How far the batches' own files are synced, and where the log begins that is still needed. Byte form in docs/formats.md, "Checkpoint". */
import { crc32 } from 'node:zlib'
import type { Disk } from '../../lib/disk.ts'
import { TroubleError } from '../../lib/errors.ts'
import { RECORD_BYTES } from '../record.ts'
import type { Layout } from './layout.ts'

/** Bytes of lines and number of records that are synced in a batch's own files. */
export type SyncedSizes = { records: number; outputBytes: number; errorBytes: number }

export type Checkpoint = { firstSegment: number; batches: Map<number, SyncedSizes> }

const VERSION = 1
const READER_VERSION_MIN = 1

export function writeCheckpoint(disk: Disk, layout: Layout, checkpoint: Checkpoint): void {
  const body = JSON.stringify({
    version: VERSION,
    readerVersionMin: READER_VERSION_MIN,
    recordBytes: RECORD_BYTES,
    firstSegment: checkpoint.firstSegment,
    batches: [...checkpoint.batches].map(([seq, sizes]) => [
      seq,
      sizes.records,
      sizes.outputBytes,
      sizes.errorBytes,
    ]),
  })
  const bytes = Buffer.from(`${body}\n${crc32(body).toString(16)}\n`)
  if (disk.exists(layout.checkpointNext)) disk.remove(layout.checkpointNext)
  const file = disk.open(layout.checkpointNext, 'create')
  try {
    disk.write(file, bytes, 0)
    disk.syncData(file)
  } finally {
    disk.close(file)
  }
  disk.rename(layout.checkpointNext, layout.checkpoint)
  disk.syncFolder(layout.log)
}

/** @returns null when there is none yet. @throws TroubleError `damaged`: it was written whole, so it is whole or damaged. */
export function readCheckpoint(disk: Disk, layout: Layout): Checkpoint | null {
  if (!disk.exists(layout.checkpoint)) return null
  const file = disk.open(layout.checkpoint, 'read')
  const bytes = Buffer.alloc(disk.size(file))
  disk.read(file, bytes, 0)
  disk.close(file)
  const [body = '', sum = ''] = bytes.toString('utf8').split('\n')
  if (crc32(body).toString(16) !== sum)
    throw new TroubleError(
      'damaged',
      `the checkpoint ${layout.checkpoint} is damaged; restore it from a backup`,
    )
  // Its checksum holds, so `writeCheckpoint` wrote it.
  const parsed = JSON.parse(body) as {
    readerVersionMin: number
    firstSegment: number
    batches: [number, number, number, number][]
  }
  if (parsed.readerVersionMin > VERSION) {
    throw new TroubleError(
      'unsupported',
      `the checkpoint needs a program that reads version ${parsed.readerVersionMin}; this one reads ${VERSION}: use the newer dw`,
    )
  }
  return {
    firstSegment: parsed.firstSegment,
    batches: new Map(
      parsed.batches.map(([seq, records, outputBytes, errorBytes]) => [
        seq,
        { records, outputBytes, errorBytes },
      ]),
    ),
  }
}
