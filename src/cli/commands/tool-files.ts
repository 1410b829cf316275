/** Where the local tools read and write: files, folders of .jsonl files, `-` for stdin and stdout. Inputs are never overwritten. */
import { createWriteStream, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import type { Finding } from '../../domain/batch.ts'
import { type Desk, temporaryPath } from '../../jsonl/tools/desk.ts'
import { type Line, readLines } from '../../jsonl/tools/lines.ts'
import { systemDisk } from '../../lib/disk.ts'
import { systemRandom } from '../../lib/random.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { type ExitName, exitCode } from '../exit-codes.ts'
import { formatNumber } from '../format.ts'
import type { Output } from '../output.ts'
import { openFileSink, type Sink } from '../results-sink.ts'
import { findingLines } from '../summary-findings.ts'
import { findInputs } from './batches-files.ts'

// The tools make much garbage that dies at once; room for it to grow into buys nothing. Measured on 136 MB of requests: `prepare` takes
// as long and 165 MB instead of 225 MB of memory.
setFlagsFromString('--semi-space-growth-factor=1')

export const STANDARD = '-'
const READ_BYTES = 256 * 1024
/** Guess: few writes, small beside everything else. */
const WRITE_BYTES = 256 * 1024
/** Guess: findings that a program is handed; the total says how many there are. */
const FINDINGS_SHOWN_MAX = 1_000

export const toolDesk: Desk = {
  disk: systemDisk,
  random: systemRandom,
  temporaryFolder: mkdtempSync(join(tmpdir(), 'dw-tool-')),
}
// Also when the reader of a pipe went away, or at a second Ctrl-C.
process.once('exit', () => rmSync(toolDesk.temporaryFolder, { recursive: true, force: true }))

/** `path` is what to read; `name` is what to call it. */
export type ToolInput = { path: string; name: string }

/** Files of folders are named one by one; those that hold results are left out, which is said. */
export function toolInputs(context: CommandContext, given: readonly string[]): ToolInput[] {
  if (given.filter((path) => path === STANDARD).length > 1)
    throw usageError('Standard input can be read once.')
  return given.flatMap((path) => {
    if (path === STANDARD) return [{ path, name: 'standard input' }]
    const { paths, skipped } = findInputs([path])
    for (const result of skipped) context.output.say(`${result}: holds results, not read`)
    return paths.map((found) => ({ path: found, name: found }))
  })
}

/**
 * Calls `use` with inputs that can be read more than once and at any place: standard input is put into a temporary file first, which
 * is gone afterwards.
 */
export async function withReadable<T>(
  context: CommandContext,
  inputs: readonly ToolInput[],
  use: (inputs: ToolInput[]) => Promise<T>,
): Promise<T> {
  const spooled = temporaryPath(toolDesk)
  try {
    const readable: ToolInput[] = []
    for (const input of inputs) {
      if (input.path === STANDARD) {
        const copy = createWriteStream(spooled, { mode: 0o600, flags: 'wx' })
        await pipeline(process.stdin, copy, { signal: context.signal })
      }
      readable.push(input.path === STANDARD ? { ...input, path: spooled } : input)
    }
    return await use(readable)
  } finally {
    rmSync(spooled, { force: true })
  }
}

/**
 * Chunks of a file share their memory: each is good until the next one is asked for.
 * @throws the reason of the context's signal when it is aborted
 */
export async function* readInput({ signal }: CommandContext, path: string): AsyncGenerator<Uint8Array> {
  if (path === STANDARD) {
    for await (const chunk of process.stdin) {
      signal.throwIfAborted()
      // A stream without an encoding gives bytes.
      yield chunk as Uint8Array
    }
    return
  }
  const file = systemDisk.open(path, 'read')
  try {
    const chunk = Buffer.allocUnsafeSlow(READ_BYTES)
    let offset = 0
    for (;;) {
      const filled = systemDisk.read(file, chunk, offset)
      if (filled === 0) return
      yield chunk.subarray(0, filled)
      offset += filled
      await setImmediate()
      signal.throwIfAborted()
    }
  } finally {
    systemDisk.close(file)
  }
}

export function inputLines(context: CommandContext, path: string): AsyncGenerator<Line[]> {
  return readLines(readInput(context, path))
}

export type ToolTarget = Sink & { isStdout: boolean; name: string }

/**
 * Where the result of a tool goes. A file appears whole or not at all.
 * @param to null for stdout
 * @throws CliError when it is one of the inputs
 */
export async function openTarget(
  { output }: CommandContext,
  to: string | null,
  inputs: readonly ToolInput[],
): Promise<ToolTarget> {
  if (to === null || to === STANDARD) {
    // A pipe takes its bytes later.
    const write = (chunk: Uint8Array): Promise<void> => output.bytes(Buffer.from(chunk))
    const target = buffered({ write, async commit() {}, async abort() {} })
    return { ...target, isStdout: true, name: 'standard output' }
  }
  refuseInput(to, inputs)
  return { ...buffered(await openFileSink(to)), isStdout: false, name: to }
}

/** The file itself, replaced when it is written whole. A link stays a link. */
export async function openInPlace(path: string): Promise<ToolTarget> {
  return { ...buffered(await openFileSink(realpathSync(path))), isStdout: false, name: path }
}

export function refuseInput(to: string, inputs: readonly ToolInput[]): void {
  const target = identityOf(to)
  const same = inputs.find(({ path }) => path !== STANDARD && identityOf(path) === target)
  if (same === undefined) return
  throw new CliError('output_is_input', `${to} is an input; it is not overwritten.`, {
    exit: 'usage',
    hint: 'Name another file with -o. `dw files prepare --in-place` changes a file itself.',
  })
}

/** One file has one, whatever it is called. */
function identityOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? resolve(path) : `${found.dev} ${found.ino}`
}

/** Gathers small writes in one buffer, which is used again: `sink` must be done with the bytes when its write resolves. */
function buffered(sink: Sink): Sink {
  const held = Buffer.allocUnsafeSlow(WRITE_BYTES)
  let heldBytes = 0
  const flush = async (): Promise<void> => {
    if (heldBytes > 0) await sink.write(held.subarray(0, heldBytes))
    heldBytes = 0
  }
  return {
    async write(chunk) {
      if (heldBytes + chunk.byteLength > WRITE_BYTES) await flush()
      if (chunk.byteLength > WRITE_BYTES) return sink.write(chunk)
      held.set(chunk, heldBytes)
      heldBytes += chunk.byteLength
    },
    async commit() {
      await flush()
      await sink.commit()
    },
    abort: () => sink.abort(),
  }
}

/** Calls `use` and puts what it wrote into its place, unless it throws or says that it is not fit for it. */
export async function writeTarget<T>(
  target: ToolTarget,
  use: (write: (bytes: Uint8Array) => Promise<void>) => Promise<{ result: T; isFit: boolean }>,
): Promise<T> {
  let isCommitted = false
  try {
    const { result, isFit } = await use((bytes) => target.write(bytes))
    if (isFit || target.isStdout) {
      await target.commit()
      isCommitted = true
    }
    return result
  } finally {
    if (!isCommitted) await target.abort()
  }
}

export type FoundIn = { name: string; findings: readonly Finding[]; total: number }

/** Tells what is wrong with an input, grouped, on stderr. */
export function tellFindings(output: Output, { name, findings, total }: FoundIn): void {
  if (total === 0) return
  output.warn(`${name}: ${formatNumber(total, 'problem')}`)
  for (const line of findingLines(findings, total)) output.warn(`  ${line}`)
}

/** Findings as programs read them. */
export function findingsJson({ findings, total }: Pick<FoundIn, 'findings' | 'total'>): object {
  const shown = findings.slice(0, FINDINGS_SHOWN_MAX).map(({ code, message, param, lineNumber }) => ({
    code,
    message,
    param,
    line: lineNumber,
  }))
  return { findings_total: total, findings: shown }
}

/** Says what was done: as JSON on stdout where that is free and asked for, else in words on stderr. */
export function tellDone(
  output: Output,
  done: { facts: Record<string, unknown>; words: string; isStdoutFree: boolean },
): void {
  if (done.isStdoutFree && output.format === 'json') output.json(done.facts)
  else output.say(done.words)
}

export function exitOf(findingsTotal: number, otherwise: ExitName = 'ok'): number {
  return exitCode(findingsTotal > 0 ? 'invalidInput' : otherwise)
}
