/**
 * Where results go. A file appears whole or not at all: it is written under another name beside its place, synced, then renamed.
 * What a crash leaves behind is that other file, `<name>.<process>.part`, and the old file as it was.
 */
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { RefusedError, systemCodeOf } from '../lib/errors.ts'

export type Sink = {
  write(chunk: Uint8Array): Promise<void>
  /** What was written is in its place and survives a crash. */
  commit(): Promise<void>
  /** Leaves nothing behind. */
  abort(): Promise<void>
}

/** `partPath` holds what was written until the commit, to be read again; null where it went straight to its place. */
export type FileSink = Sink & { partPath: string | null }

/** For the errors of `answers.jsonl`: `answers.errors.jsonl`. */
export function errorsPathOf(path: string): string {
  return `${path.replace(/\.jsonl$/, '')}.errors.jsonl`
}

/** Where a file is to appear. */
export type Place = {
  target: string
  /** It is no regular file (a pipe, a device) and is written to directly. */
  isDirect: boolean
  /** Of the file that is replaced; null where there is none. */
  mode: number | null
}

/** Looks at it, and makes its parent folders. @throws RefusedError `is_a_folder` */
export async function preparePlace(path: string): Promise<Place> {
  const target = resolve(path)
  const found = await stat(target).catch((thrown: unknown) => {
    if (systemCodeOf(thrown) === 'ENOENT') return null
    throw thrown
  })
  if (found?.isDirectory()) {
    throw new RefusedError(
      'is_a_folder',
      `${path} is a folder. Name a file, for example -o ${path.replace(/\/$/, '')}/results.jsonl`,
    )
  }
  const isDirect = found !== null && !found.isFile()
  if (!isDirect) await mkdir(dirname(target), { recursive: true })
  return { target, isDirect, mode: found?.mode ?? null }
}

/** @throws RefusedError `is_a_folder` */
export async function openFileSink(path: string): Promise<FileSink> {
  const { target, isDirect, mode } = await preparePlace(path)
  if (isDirect) return openDirectSink(target)
  const part = `${target}.${process.pid}.part`
  const file = await open(part, 'w', mode ?? undefined)
  // What replaces a file is no more open to others than it was.
  if (mode !== null) await file.chmod(mode)
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await file.close()
    isOpen = false
  }
  return {
    partPath: part,
    write: async (chunk) => void (await file.writeFile(chunk)),
    async commit() {
      await file.sync()
      await close()
      await rename(part, target)
      await syncFolder(dirname(target))
    },
    async abort() {
      await close()
      await rm(part, { force: true })
    },
  }
}

async function openDirectSink(path: string): Promise<FileSink> {
  const file = await open(path, 'w')
  return {
    partPath: null,
    write: async (chunk) => void (await file.writeFile(chunk)),
    commit: () => file.close(),
    abort: () => file.close(),
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } catch (thrown) {
    // Some file systems cannot sync a folder; the rename itself has succeeded.
    if (systemCodeOf(thrown) !== 'EINVAL') throw thrown
  } finally {
    await folder.close()
  }
}

/** Opened with the first byte. A commit without any removes an older file of that name, which would belong to other results. */
export function openFileSinkLate(path: string): Sink {
  let sink: Promise<Sink> | null = null
  return {
    async write(chunk) {
      sink ??= openFileSink(path)
      await (await sink).write(chunk)
    },
    async commit() {
      if (sink === null) return rm(path, { force: true })
      await (await sink).commit()
    },
    async abort() {
      // A sink that could not be opened has left nothing.
      await (await sink?.catch(() => null))?.abort()
    },
  }
}

export const noSink: Sink = { async write() {}, async commit() {}, async abort() {} }
