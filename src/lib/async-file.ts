/**
 * File calls that do not block their thread: for the main thread, which answers requests meanwhile. The synchronous ones for worker
 * threads are in `disk.ts`. Reads share open files, at most `OPEN_FILES_MAX` of which stay open between reads; that fits files which
 * never change once they have their name.
 */
import { close, open, read } from 'node:fs'
import { type FileHandle, opendir, open as openHandle, rename, stat, unlink } from 'node:fs/promises'
import { diskTrouble } from './disk.ts'
import { systemCodeOf, TroubleError } from './errors.ts'

export type AsyncFiles = {
  /** Fills `target` from `offset`. @returns bytes read, fewer only at the end. @throws TroubleError `damaged` when the file is absent */
  read(path: string, target: Uint8Array, offset: number): Promise<number>
  /** @returns null when the file is absent */
  size(path: string): Promise<number | null>
  /**
   * Makes a file that did not exist. Its data survives power loss when this resolves; its name only after `syncFolder`.
   * @returns bytes written. @throws TroubleError `disk_full`, `disk_failed`, or what `content` throws; nothing remains then
   */
  create(path: string, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number>
  rename(from: string, to: string): Promise<void>
  /** Lets go of a file that another thread removed: its bytes are free only when nobody has it open. */
  drop(path: string): Promise<void>
  /** An absent file is fine. */
  remove(path: string): Promise<void>
  syncFolder(path: string): Promise<void>
  /** Names in a folder, in no order. */
  names(folder: string): AsyncIterable<string>
  /** Closes what is open; reads that run are let through, later ones are refused. */
  close(): Promise<void>
}

/** Guess: files of live batches read at a time, far below the usual 1024 descriptors of a process. */
const OPEN_FILES_MAX = 128
const FILE_MODE = 0o600

type OpenFile = {
  descriptor: Promise<number>
  readers: number
  /** No longer shared: closed when its last reader is done. */
  isDropped: boolean
}

export function createAsyncFiles(): AsyncFiles {
  const shared = createSharedFiles()
  return {
    async read(path, target, offset) {
      const file = shared.take(path)
      try {
        return await readAll(await file.descriptor, target, offset)
      } catch (thrown) {
        throw readTrouble(path, thrown)
      } finally {
        await shared.giveBack(path, file)
      }
    },
    async size(path) {
      try {
        return (await stat(path)).size
      } catch (thrown) {
        if (systemCodeOf(thrown) === 'ENOENT') return null
        throw diskTrouble(path, thrown)
      }
    },
    create,
    async rename(from, to) {
      await acting(from, () => rename(from, to))
      await shared.drop(to)
    },
    async remove(path) {
      await acting(path, () => unlink(path)).catch((thrown: TroubleError) => {
        if (systemCodeOf(thrown.cause) !== 'ENOENT') throw thrown
      })
      await shared.drop(path)
    },
    drop: (path) => shared.drop(path),
    async syncFolder(path) {
      await acting(path, async () => {
        const folder = await openHandle(path, 'r')
        await folder.sync().finally(() => folder.close())
      })
    },
    async *names(folder) {
      for await (const entry of await opendir(folder)) yield entry.name
    },
    close: () => shared.close(),
  }
}

/** Guess: bytes of one read; a reader that is slow holds two of them. */
const BLOCK_BYTES = 1024 * 1024

/**
 * The bytes of a range in blocks; while one is taken the next one is read.
 * @throws TroubleError `damaged` when the file is absent or ends before the range
 */
export async function* readBlocks(
  files: AsyncFiles,
  path: string,
  { start, end }: { start: number; end: number },
): AsyncGenerator<Buffer, undefined> {
  const readAt = (offset: number): Promise<Buffer> | null => {
    if (offset >= end) return null
    const block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, end - offset))
    const filled = readExactly(files, path, { target: block, offset }).then(() => block)
    // Whoever takes the block sees the failure; a reader that left early does not look.
    filled.catch(() => undefined)
    return filled
  }
  let next = readAt(start)
  for (let offset = start + BLOCK_BYTES; next !== null; offset += BLOCK_BYTES) {
    const block = await next
    next = readAt(offset)
    yield block
  }
}

/** Fills the target. @throws TroubleError `damaged` when the file is absent or ends before that */
export async function readExactly(
  files: AsyncFiles,
  path: string,
  { target, offset }: { target: Uint8Array; offset: number },
): Promise<void> {
  const filled = await files.read(path, target, offset)
  if (filled === target.byteLength) return
  throw new TroubleError(
    'damaged',
    `${path} ends at ${offset + filled}, before ${offset + target.byteLength}`,
  )
}

/** Open files by path, the least recently used first. */
function createSharedFiles() {
  const files = new Map<string, OpenFile>()
  let isClosed = false

  const end = async (file: OpenFile): Promise<void> => {
    const descriptor = await file.descriptor.catch(() => null)
    if (descriptor !== null) await new Promise<void>((resolve) => close(descriptor, () => resolve()))
  }
  const drop = async (path: string): Promise<void> => {
    const file = files.get(path)
    if (file === undefined) return
    files.delete(path)
    file.isDropped = true
    if (file.readers === 0) await end(file)
  }
  const makeRoom = (): void => {
    if (files.size < OPEN_FILES_MAX) return
    for (const [path, file] of files) {
      // Closing goes on beside the read that needed the room; it cannot fail in a way that matters to a reader.
      if (file.readers === 0) return void drop(path)
    }
  }
  return {
    drop,
    take(path: string): OpenFile {
      if (isClosed) throw new TroubleError('stopped', 'files are closed')
      let file = files.get(path)
      if (file === undefined) {
        makeRoom()
        file = { descriptor: openToRead(path), readers: 0, isDropped: files.size >= OPEN_FILES_MAX }
      }
      if (!file.isDropped) {
        files.delete(path)
        files.set(path, file)
      }
      file.readers += 1
      return file
    },
    async giveBack(path: string, file: OpenFile): Promise<void> {
      file.readers -= 1
      const isOpen = await file.descriptor.then(
        () => true,
        () => false,
      )
      if (!isOpen && files.get(path) === file) files.delete(path)
      if (isOpen && file.isDropped && file.readers === 0) await end(file)
    },
    async close(): Promise<void> {
      isClosed = true
      await Promise.all([...files.keys()].map(drop))
    },
  }
}

function openToRead(path: string): Promise<number> {
  const descriptor = new Promise<number>((resolve, reject) => {
    open(path, 'r', (cause, opened) => (cause === null ? resolve(opened) : reject(cause)))
  })
  // Whoever reads sees the failure; the cache itself does not look.
  descriptor.catch(() => {})
  return descriptor
}

async function readAll(descriptor: number, target: Uint8Array, offset: number): Promise<number> {
  let filled = 0
  while (filled < target.byteLength) {
    const count = await new Promise<number>((resolve, reject) => {
      read(descriptor, target, filled, target.byteLength - filled, offset + filled, (cause, bytes) =>
        cause === null ? resolve(bytes) : reject(cause),
      )
    })
    if (count === 0) break
    filled += count
  }
  return filled
}

async function create(
  path: string,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  const file = await acting(path, () => openHandle(path, 'wx', FILE_MODE))
  let bytes = 0
  try {
    for await (const chunk of content) {
      await acting(path, () => writeAll(file, chunk, bytes))
      bytes += chunk.byteLength
    }
    await acting(path, () => file.datasync())
    await file.close()
    return bytes
  } catch (thrown) {
    await file.close().catch(() => {
      // It is removed in the next step whether it could be closed or not.
    })
    await acting(path, () => unlink(path))
    throw thrown
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array, offset: number): Promise<void> {
  let written = 0
  while (written < chunk.byteLength) {
    const { bytesWritten } = await file.write(chunk, written, chunk.byteLength - written, offset + written)
    written += bytesWritten
  }
}

async function acting<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (thrown) {
    throw diskTrouble(path, thrown)
  }
}

function readTrouble(path: string, thrown: unknown): TroubleError {
  if (systemCodeOf(thrown) === 'ENOENT') {
    return new TroubleError('damaged', `${path} is absent`, { cause: thrown })
  }
  return diskTrouble(path, thrown)
}
