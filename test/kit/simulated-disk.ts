/**
 * A disk in memory that tells apart what is synced from what is not: bytes of files, and entries of folders. It counts its calls,
 * can crash before or after any of them, and can make any of them fail. After a crash it gives one of three images.
 */
import type { Disk, FileHandle } from '../../src/lib/disk.ts'
import { TroubleError } from '../../src/lib/errors.ts'
import type { Random } from '../../src/lib/random.ts'

/** Thrown at the point of a crash; nothing may catch it but the test. */
export class CrashError extends Error {}

export type Image = 'synced' | 'everything' | 'random'
export type Fault = { at: number; kind: 'crash-before' | 'crash-after' | 'full' | 'failed' }

/** `room` is larger memory behind `bytes` that nothing else writes to, so that appending does not copy the whole file each time. */
type Content = { bytes: Buffer; synced: Buffer; room?: Buffer }
/** A path and what is behind it; a folder has no content. */
export type Entries = Map<string, Content | 'folder'>

export type SimulatedDisk = Disk & {
  calls(): number
  /** Of an open file. */
  pathOf(file: FileHandle): string
  /** What each call was, in order: the kind of call and of file, for example `syncData results/log/#.log`. */
  names(): readonly string[]
  /** A disk with the same entries, all of them synced, and a fault to come. */
  withFault(fault: Fault): SimulatedDisk
  /** The disk that a new start would find. */
  after(image: Image, random: Random): SimulatedDisk
}

export function createSimulatedDisk(
  options: { fault?: Fault | null; entries?: Entries; bytesFree?: number } = {},
): SimulatedDisk {
  const live = copyOf(options.entries ?? new Map([['/', 'folder']]))
  let synced: Entries = new Map(live)
  const open = new Map<FileHandle, Content>()
  const paths = new Map<FileHandle, string>()
  const names: string[] = []
  let lastHandle = 0
  let hasCrashed = false

  /** Every changing call is a point. */
  const point = <T>(what: string, path: string, run: () => T): T => {
    if (hasCrashed) throw new CrashError('the disk is gone')
    names.push(`${what} ${kindOf(path)}`)
    const fault = options.fault ?? null
    const isHere = fault !== null && fault.at === names.length
    const crash = (): never => {
      hasCrashed = true
      throw new CrashError(`crash at call ${names.length}`)
    }
    if (isHere && fault.kind === 'crash-before') crash()
    if (isHere && fault.kind === 'full') throw new TroubleError('disk_full', 'no space left')
    if (isHere && fault.kind === 'failed') throw new TroubleError('disk_failed', 'input/output error')
    const value = run()
    if (isHere && fault.kind === 'crash-after') crash()
    return value
  }
  const contentOf = (file: FileHandle): Content => {
    const content = open.get(file)
    if (content === undefined) throw new Error(`file ${file} is not open`)
    return content
  }
  const pathOf = (file: FileHandle): string => paths.get(file) ?? ''
  const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/')))
  const inFolder = (entries: Entries, folder: string): [string, Content | 'folder'][] =>
    [...entries].filter(([path]) => path !== folder && parentOf(path) === folder)

  const disk: SimulatedDisk = {
    calls: () => names.length,
    pathOf,
    names: () => names,
    open(path, mode) {
      const found = live.get(path)
      if (found === 'folder') throw new TroubleError('disk_failed', `${path} is a folder`)
      const isMissing = found === undefined
      if (isMissing && (mode === 'read' || mode === 'write'))
        throw new TroubleError('disk_failed', `${path} is not there`)
      if (!isMissing && mode === 'create') throw new TroubleError('disk_failed', `${path} is there`)
      lastHandle += 1
      const handle = lastHandle
      const use = (content: Content): FileHandle => {
        open.set(handle, content)
        paths.set(handle, path)
        return handle
      }
      if (!isMissing) return use(found)
      return point('create', path, () => {
        const content = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) }
        live.set(path, content)
        return use(content)
      })
    },
    close: (file) => void open.delete(file),
    size: (file) => contentOf(file).bytes.byteLength,
    read(file, target, offset) {
      return contentOf(file).bytes.copy(target, 0, offset, offset + target.byteLength)
    },
    write(file, bytes, offset) {
      point('write', pathOf(file), () => {
        overwrite(contentOf(file), bytes, offset)
      })
    },
    truncate(file, bytes) {
      point('truncate', pathOf(file), () => {
        const content = contentOf(file)
        const larger = Buffer.alloc(bytes)
        content.bytes.copy(larger)
        content.bytes = larger
        delete content.room
      })
    },
    syncData(file) {
      point('syncData', pathOf(file), () => {
        const content = contentOf(file)
        content.synced = content.bytes
      })
    },
    syncFolder(path) {
      point('syncFolder', path, () => {
        const kept = [...synced].filter(([entry]) => parentOf(entry) !== path || entry === path)
        synced = new Map([...kept, ...inFolder(live, path)])
      })
    },
    rename(from, to) {
      point('rename', to, () => {
        const content = live.get(from)
        if (content === undefined) throw new TroubleError('disk_failed', `${from} is not there`)
        live.delete(from)
        live.set(to, content)
      })
    },
    remove(path) {
      point('remove', path, () => {
        if (!live.delete(path)) throw new TroubleError('disk_failed', `${path} is not there`)
      })
    },
    removeFolder(path) {
      point('removeFolder', path, () => {
        for (const entry of [...live.keys()])
          if (entry === path || entry.startsWith(`${path}/`)) live.delete(entry)
      })
    },
    makeFolder(path) {
      point('makeFolder', path, () => {
        const parts = path.split('/').filter((part) => part !== '')
        parts.forEach((_, index) => {
          const folder = `/${parts.slice(0, index + 1).join('/')}`
          if (!live.has(folder)) live.set(folder, 'folder')
        })
      })
    },
    exists: (path) => live.has(path),
    list: (path) => inFolder(live, path).map(([entry]) => entry.slice(path === '/' ? 1 : path.length + 1)),
    // Without a say no room for the ballast: making it would be most of what a test spends its time on.
    bytesFree: () => options.bytesFree ?? 0,
    withFault: (fault) => createSimulatedDisk({ ...options, fault, entries: live }),
    after: (image, random) =>
      createSimulatedDisk({ ...options, fault: null, entries: imageOf(image, { live, synced, random }) }),
  }
  return disk
}

/** Bytes are replaced, never changed, so that they can be shared. */
function copyOf(entries: Entries): Entries {
  return new Map(
    [...entries].map(([path, entry]) => [
      path,
      entry === 'folder' ? entry : { bytes: entry.bytes, synced: entry.synced },
    ]),
  )
}

function overwrite(content: Content, bytes: Uint8Array, offset: number): void {
  const before = content.bytes
  const length = Math.max(before.byteLength, offset + bytes.byteLength)
  if (offset < before.byteLength || content.room === undefined || content.room.byteLength < length) {
    content.room = Buffer.alloc(offset < before.byteLength ? length : length * 2)
    before.copy(content.room)
  }
  content.room.set(bytes, offset)
  content.bytes = content.room.subarray(0, length)
}

/** The path without numbers and ids: files of one kind have one name. */
function kindOf(path: string): string {
  return path
    .slice(1)
    .replaceAll(/file-\w+/g, 'file')
    .replaceAll(/\d+/g, '#')
}

function imageOf(image: Image, state: { live: Entries; synced: Entries; random: Random }): Entries {
  const { live, synced, random } = state
  const names = image === 'synced' ? new Set(synced.keys()) : new Set([...synced.keys(), ...live.keys()])
  const entries: Entries = new Map([['/', 'folder']])
  for (const name of names) {
    const before = synced.get(name)
    const now = live.get(name)
    const takesNow = image === 'everything' || (image === 'random' && random.float() < 0.5)
    const entry = takesNow ? now : before
    if (entry === undefined) continue
    entries.set(name, entry === 'folder' ? 'folder' : survivor(entry, image, random))
  }
  // An entry whose folder is lost is lost with it.
  for (const name of [...entries.keys()]) if (!hasAllFolders(entries, name)) entries.delete(name)
  return entries
}

function hasAllFolders(entries: Entries, name: string): boolean {
  const parts = name.split('/').filter((part) => part !== '')
  return parts
    .slice(0, -1)
    .every((_, index) => entries.get(`/${parts.slice(0, index + 1).join('/')}`) === 'folder')
}

/** Synced bytes are all there; behind them, of what was written since, a random prefix whose last part may be torn. */
function survivor(content: Content, image: Image, random: Random): Content {
  if (image === 'synced') return { bytes: content.synced, synced: content.synced }
  if (image === 'everything') return { bytes: content.bytes, synced: content.bytes }
  const kept = content.synced
  const length = Math.floor(random.float() * (content.bytes.byteLength + 1))
  const bytes = Buffer.alloc(Math.max(kept.byteLength, length))
  content.bytes.copy(bytes, 0, 0, length)
  // A block that was never written back holds what was there before, or zeros.
  kept.copy(bytes)
  if (length > kept.byteLength && random.float() < 0.5) {
    const from = kept.byteLength + Math.floor(random.float() * (length - kept.byteLength))
    bytes.fill(0, from, Math.min(length, from + 512))
  }
  return { bytes, synced: bytes }
}
