/**
 * A file of result lines that can be gone through once more before it is put into its place: in its `.part` file, or in a temporary one
 * where the lines go to a pipe or a device, which would keep what it was given.
 */
import { createReadStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { temporaryPath } from '../../jsonl/tools/desk.ts'
import { readLines } from '../../jsonl/tools/lines.ts'
import type { Output } from '../output.ts'
import { type FileSink, openFileSink, type Sink } from '../results-sink.ts'
import { toolDesk } from './tool-files.ts'

export type Store = Sink & {
  /** Leaves only those lines for which `kept` says so, one value a line; the others go to `aside`. */
  sift(kept: Iterator<boolean>, aside: Sink): Promise<void>
}

/** Finds out whether results can be written there, before anything is paid for. @throws as `openFileSink` */
export async function requireWritable(path: string): Promise<void> {
  // Who reads a pipe would take the look for the end.
  const found = await stat(path).catch(() => null)
  if (found === null || found.isFile() || found.isDirectory()) await (await openFileSink(path)).abort()
}

const NEWLINE = Buffer.from('\n')
const READ_BYTES = 256 * 1024

/** @param path null: standard output */
export async function openStore(path: string | null, output: Pick<Output, 'bytes'>): Promise<Store> {
  const target = path === null ? null : await openFileSink(path)
  if (target !== null && target.partPath !== null) return storeOf(target, target.partPath)
  const spoolPath = temporaryPath(toolDesk)
  const spool = await openFileSink(spoolPath)
  return {
    ...storeOf(spool, spool.partPath ?? spoolPath),
    async commit() {
      await spool.commit()
      for await (const chunk of createReadStream(spoolPath, { highWaterMark: READ_BYTES }))
        await (target === null ? output.bytes(chunk) : target.write(chunk))
      await target?.commit()
      await rm(spoolPath, { force: true })
    },
    async abort() {
      await target?.abort()
      await spool.abort()
    },
  }
}

function storeOf(sink: FileSink, partPath: string): Store {
  return { ...sink, sift: (kept, aside) => siftFile(partPath, kept, aside) }
}

/** Lines move towards the beginning of the file, never over what was not read yet. */
async function siftFile(path: string, kept: Iterator<boolean>, aside: Sink): Promise<void> {
  const file = await open(path, 'r+')
  try {
    let end = 0
    for await (const lines of readLines(createReadStream(path, { highWaterMark: READ_BYTES }))) {
      const stay: Buffer[] = []
      for (const { bytes } of lines) {
        if (bytes === null) continue
        if (kept.next().value === true) stay.push(bytes, NEWLINE)
        else await aside.write(Buffer.concat([bytes, NEWLINE]))
      }
      const block = Buffer.concat(stay)
      await file.write(block, 0, block.byteLength, end)
      end += block.byteLength
    }
    await file.truncate(end)
  } finally {
    await file.close()
  }
}
