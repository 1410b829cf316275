/**
 * Writes many files at once without holding them open: what is written waits in memory until all of it is too much. Every file is
 * written under another name and gets its own at the end, so that a crash leaves `….part` files and no half part.
 */
import { appendFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PARTS_HELD_BYTES_MAX } from '../../domain/limits.ts'

export type PartFiles = {
  append(name: string, bytes: Uint8Array): Promise<void>
  /** All parts are in their places and survive a crash. */
  commit(): Promise<void>
  /** Leaves none behind. */
  abort(): Promise<void>
}

/** @param folder is made where it is absent */
export async function openPartFiles(folder: string): Promise<PartFiles> {
  await mkdir(folder, { recursive: true })
  const held = new Map<string, Uint8Array[]>()
  const names = new Set<string>()
  let heldBytes = 0
  const partOf = (name: string): string => join(folder, `${name}.${process.pid}.part`)
  const flush = async (): Promise<void> => {
    for (const [name, chunks] of held) await appendFile(partOf(name), Buffer.concat(chunks))
    held.clear()
    heldBytes = 0
  }
  return {
    async append(name, bytes) {
      if (!names.has(name)) {
        // One that an earlier process of this number left.
        await rm(partOf(name), { force: true })
        names.add(name)
      }
      const chunks = held.get(name)
      if (chunks === undefined) held.set(name, [bytes])
      else chunks.push(bytes)
      heldBytes += bytes.byteLength
      if (heldBytes > PARTS_HELD_BYTES_MAX) await flush()
    },
    async commit() {
      await flush()
      for (const name of names) {
        await sync(partOf(name))
        await rename(partOf(name), join(folder, name))
        names.delete(name)
      }
    },
    async abort() {
      for (const name of names) await rm(partOf(name), { force: true })
    },
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Files of the folder that look like parts of an earlier split of this stem. */
export async function leftOvers(
  folder: string,
  stem: string,
  written: ReadonlySet<string>,
): Promise<string[]> {
  const names = await readdir(folder)
  return names.filter(
    (name) => name.startsWith(`${stem}-`) && /-\d{3,}\.jsonl$/.test(name) && !written.has(name),
  )
}
