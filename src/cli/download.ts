/**
 * A file that is fetched in pieces and survives whatever ends the program: what was fetched lies in `<name>.part`, and the same fetch
 * goes on from its last byte.
 *
 * Beside it `<name>.part.journal` tells what is fetched (server and pieces), where finished pieces end, and which process writes. The
 * length of the part is the position: it is only ever appended to. Whoever finds a journal whose process is gone takes it over by
 * renaming it, which one of several can; whoever finds a live one, or a part without a journal, leaves both alone and writes to a file
 * of its own that is not gone on with. After a power failure the end of the part may be blocks that were never written: they read as
 * zeros, which no line holds, and are fetched again from the first one on.
 *
 * The name itself appears with the commit: synced, then renamed.
 */
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { systemCodeOf } from '../lib/errors.ts'
import { openFileSink, preparePlace, type Sink, syncFolder } from './results-sink.ts'

/** Of a fetch that goes on, both are the same as before. */
export type DownloadPlan = {
  /** Address of the server. */
  source: string
  /** What each piece is: equal words mean equal bytes. */
  pieces: readonly string[]
}

export type Download = Sink & {
  /** Bytes of an earlier fetch that need not come again. */
  keptBytes: number
  /**
   * The bytes of a piece: those that lie here, then those of `fetch`. All of them are then to be written; what lies here already is not
   * written twice. Pieces are read in their order, each once.
   */
  read(piece: number, fetch: (fromByte: number) => AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  /** Ends without a commit. @returns the path of what is kept to go on with; null where nothing is */
  suspend(): Promise<string | null>
}

type Journal = DownloadPlan & {
  version: number
  pid: number
  host: string
  /** Where finished pieces end in the part, in their order. */
  ends: readonly number[]
}

const VERSION = 1
const READ_BYTES = 256 * 1024

/** @throws RefusedError `is_a_folder` */
export async function openDownload(path: string, plan: DownloadPlan): Promise<Download> {
  const { target, isDirect, mode } = await preparePlace(path)
  const part = `${target}.part`
  const claimed = isDirect ? null : await claim(part, plan)
  if (claimed === null) return plainDownload(await openFileSink(path))
  const file = await open(part, claimed.isNew ? 'wx+' : 'a+', mode ?? undefined)
  // What replaces a file is no more open to others than it was.
  if (mode !== null) await file.chmod(mode)
  const { size } = await file.stat()
  return partDownload({ target, part, plan, file, size, ends: claimed.ends.filter((end) => end <= size) })
}

/** Where nothing is kept: a pipe, a device, or a part that somebody else writes. */
function plainDownload(sink: Sink): Download {
  const suspend = async (): Promise<null> => {
    await sink.abort()
    return null
  }
  return { ...sink, keptBytes: 0, read: (_piece, fetch) => fetch(0), suspend }
}

type Opened = {
  target: string
  part: string
  plan: DownloadPlan
  file: FileHandle
  size: number
  ends: readonly number[]
}

function partDownload({ target, part, plan, file, size, ends: known }: Opened): Download {
  const ends = [...known]
  /** Bytes in the part, and those that were written or passed over so far. */
  let there = size
  let position = 0
  let isOpen = true
  let isCommitted = false
  const close = async (): Promise<void> => {
    if (isOpen) await file.close()
    isOpen = false
  }
  const forget = async (): Promise<void> => {
    await rm(part, { force: true })
    await rm(journalOf(part), { force: true })
  }
  return {
    keptBytes: size,
    async *read(piece, fetch) {
      const start = position
      if (piece > 0 && ends.length < piece) {
        ends.push(start)
        await writeJournal(part, { ...plan, ends })
      }
      const end = ends[piece] ?? there
      let at = start
      for await (const chunk of keptChunks(file, start, end)) {
        const zero = chunk.indexOf(0)
        yield zero === -1 ? chunk : chunk.subarray(0, zero)
        at += zero === -1 ? chunk.byteLength : zero
        if (zero === -1) continue
        await file.truncate(at)
        there = at
        ends.length = piece
        break
      }
      if (ends[piece] === undefined) yield* fetch(at - start)
    },
    async write(chunk) {
      const kept = Math.min(chunk.byteLength, Math.max(0, there - position))
      position += chunk.byteLength
      if (kept === chunk.byteLength) return
      await file.appendFile(chunk.subarray(kept))
      there = position
    },
    async commit() {
      await file.truncate(position)
      await file.sync()
      await close()
      await rename(part, target)
      isCommitted = true
      await syncFolder(dirname(target))
      await rm(journalOf(part), { force: true })
    },
    async abort() {
      await close()
      await forget()
    },
    async suspend() {
      await close()
      if (isCommitted) return null
      if (there > 0) return part
      await forget()
      return null
    },
  }
}

async function* keptChunks(file: FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end; ) {
    const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, end - at))
    const { bytesRead } = await file.read(chunk, 0, chunk.byteLength, at)
    if (bytesRead === 0) return
    yield chunk.subarray(0, bytesRead)
    at += bytesRead
  }
}

/** @returns what is known of the part, which is this process's from now on; null where it is another's */
async function claim(
  part: string,
  plan: DownloadPlan,
): Promise<{ isNew: boolean; ends: readonly number[] } | null> {
  const path = journalOf(part)
  const isNew = !(await exists(path))
  if (isNew) {
    if (await exists(part)) return null
    return (await createJournal(path, { ...plan, ends: [] })) ? { isNew, ends: [] } : null
  }
  const found = await readJournal(path)
  if (found !== null && isAlive(found)) return null
  const own = `${path}.${process.pid}`
  try {
    await rename(path, own)
  } catch (thrown) {
    // Another process was faster.
    if (systemCodeOf(thrown) === 'ENOENT') return null
    throw thrown
  }
  const isSame = found !== null && planText(found) === planText(plan)
  if (!isSame) await rm(part, { force: true })
  const ends = isSame ? found.ends : []
  const isClaimed = await createJournal(path, { ...plan, ends })
  await rm(own, { force: true })
  return isClaimed ? { isNew: !(await exists(part)), ends } : null
}

/** A process of another machine is never taken for gone. */
function isAlive({ pid, host }: Journal): boolean {
  if (host !== hostname()) return true
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return systemCodeOf(thrown) !== 'ESRCH'
  }
}

function planText({ source, pieces }: DownloadPlan): string {
  return JSON.stringify([source, pieces])
}

function journalOf(part: string): string {
  return `${part}.journal`
}

function journalText(facts: DownloadPlan & { ends: readonly number[] }): string {
  const { source, pieces, ends } = facts
  const journal: Journal = {
    version: VERSION,
    ...{ pid: process.pid, host: hostname() },
    ...{ source, pieces, ends },
  }
  return `${JSON.stringify(journal)}\n`
}

/** @returns false when another process has made it first */
async function createJournal(
  path: string,
  facts: DownloadPlan & { ends: readonly number[] },
): Promise<boolean> {
  try {
    await writeFile(path, journalText(facts), { flag: 'wx', mode: 0o600 })
    return true
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'EEXIST') return false
    throw thrown
  }
}

async function writeJournal(part: string, facts: DownloadPlan & { ends: readonly number[] }): Promise<void> {
  const path = journalOf(part)
  const next = `${path}.${process.pid}`
  await writeFile(next, journalText(facts), { mode: 0o600 })
  await rename(next, path)
}

/** @returns null for what is no journal of this version */
async function readJournal(path: string): Promise<Journal | null> {
  try {
    const found: unknown = JSON.parse(await readFile(path, 'utf8'))
    return isJournal(found) ? found : null
  } catch {
    // Gone, or cut by a crash: then nothing can be told of the part, and it is fetched anew.
    return null
  }
}

function isJournal(found: unknown): found is Journal {
  if (typeof found !== 'object' || found === null) return false
  // Looked at one by one below.
  const { version, pid, host, source, pieces, ends } = found as Partial<Record<keyof Journal, unknown>>
  if (version !== VERSION || !Number.isSafeInteger(pid) || typeof host !== 'string') return false
  if (typeof source !== 'string' || !Array.isArray(pieces) || !Array.isArray(ends)) return false
  return pieces.every((piece) => typeof piece === 'string') && ends.every(Number.isSafeInteger)
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}
