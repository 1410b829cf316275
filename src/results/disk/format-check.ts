/**
 * A look at what a start of the result log would go on writing: the checkpoint, the log's segments, the records of batches that
 * the checkpoint names. A program that must not use them leaves no trace. Records of ended batches are only read, and checked then.
 */
import type { Disk } from '../../lib/disk.ts'
import { TroubleError } from '../../lib/errors.ts'
import { checkFormatHeader, FORMAT_HEADER_BYTES, type Format, isTornHeader } from '../../lib/format-header.ts'
import { recordsFormat } from './batch-files.ts'
import { readCheckpoint } from './checkpoint.ts'
import { layoutOf } from './layout.ts'
import { segmentFormat } from './log-format.ts'

/** @throws TroubleError `damaged` for the checkpoint; `unsupported` naming both versions when a file needs a newer program, or is older than this one can read */
export function requireKnownFormats(disk: Disk, folder: string): void {
  const layout = layoutOf(folder)
  if (!disk.exists(layout.log)) return
  const checkpoint = readCheckpoint(disk, layout)
  for (const name of disk.list(layout.log)) {
    const number = layout.segmentNumber(name)
    if (number !== null) checkHeader(disk, layout.segment(number), segmentFormat)
  }
  for (const seq of checkpoint?.batches.keys() ?? []) checkHeader(disk, layout.records(seq), recordsFormat)
}

/** What is no header of this kind was cut short or is damaged: the recovery knows which, and which batches it concerns. */
function checkHeader(disk: Disk, path: string, format: Format): void {
  if (!disk.exists(path)) return
  const header = Buffer.alloc(FORMAT_HEADER_BYTES)
  const file = disk.open(path, 'read')
  try {
    disk.read(file, header, 0)
  } finally {
    disk.close(file)
  }
  if (isTornHeader(header, format)) return
  try {
    checkFormatHeader(header, { ...format, name: `${format.name} ${path}` })
  } catch (thrown) {
    if (!(thrown instanceof TroubleError) || thrown.code !== 'damaged') throw thrown
  }
}
