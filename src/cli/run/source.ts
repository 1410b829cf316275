/** The input of a run as one sequence of bytes, whatever number of files it is in. A newline that one of them lacks at its end is added. */
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { CliError } from '../cli-error.ts'
import { stampOf } from '../commands/batches-files.ts'

type SourceFile = {
  path: string
  /** What to call it. */
  name: string
  /** Of the file when it was opened: what is sent later must be the same. */
  stamp: string
  bytes: number
  /** A newline follows that is not in the file. */
  isContinued: boolean
}

export type Source = {
  /** A file name that says what it is; ends in `.jsonl`. */
  name: string
  files: readonly SourceFile[]
  bytes: number
}

const NEWLINE = Buffer.from('\n')
const READ_BYTES = 256 * 1024

export function openSource(name: string, inputs: readonly { path: string; name: string }[]): Source {
  const files = inputs.map((input, place) => openFile(input, place === inputs.length - 1))
  return { name, files, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) }
}

function openFile(input: { path: string; name: string }, isLast: boolean): SourceFile {
  const stamp = stampOf(input.path)
  const size = Number(stamp.split(' ', 1)[0])
  const file = openSync(input.path, 'r')
  try {
    const tail = Buffer.alloc(1)
    readSync(file, tail, 0, 1, Math.max(0, size - 1))
    const isContinued = !isLast && size > 0 && !tail.equals(NEWLINE)
    return { ...input, stamp, bytes: size + Number(isContinued), isContinued }
  } finally {
    closeSync(file)
  }
}

/** Whether its files are as they were when it was opened. */
export function isUnchanged({ files }: Source): boolean {
  return files.every(({ path, stamp }) => {
    try {
      return stampOf(path) === stamp
    } catch {
      // Gone.
      return false
    }
  })
}

/** @throws CliError `file_changed` */
export function requireUnchanged(source: Source): void {
  if (isUnchanged(source)) return
  throw new CliError(
    'file_changed',
    `${source.name} was written to since it was checked; nothing more of it was submitted.`,
    {
      exit: 'invalidInput',
      hint: 'Run the command again once the file is whole.',
    },
  )
}

export type Stretch = { start: number; end: number }

/** @param stretch in bytes of the whole sequence */
export async function* readSource({ files }: Source, stretch: Stretch): AsyncGenerator<Uint8Array> {
  let fileStart = 0
  for (const file of files) {
    const start = Math.max(stretch.start - fileStart, 0)
    const end = Math.min(stretch.end - fileStart, file.bytes)
    fileStart += file.bytes
    if (start >= end) continue
    const inFile = file.bytes - Number(file.isContinued)
    if (start < Math.min(end, inFile))
      yield* createReadStream(file.path, {
        start,
        // The last byte that is read.
        end: Math.min(end, inFile) - 1,
        highWaterMark: READ_BYTES,
      })
    if (end > inFile) yield NEWLINE
  }
}

/** SHA-256 of all of it, hex. @throws the reason of the signal */
export async function hashOf(
  source: Source,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (bytes: number) => void },
): Promise<string> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of readSource(source, { start: 0, end: source.bytes })) {
    signal.throwIfAborted()
    hash.update(chunk)
    bytes += chunk.byteLength
    onProgress(bytes)
  }
  return hash.digest('hex')
}
