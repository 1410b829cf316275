/** Which files a run takes, and whether they are fit to be sent. Nothing here talks to a server. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LINE_BYTES_MAX } from '../../domain/limits.ts'
import { inspectFile } from '../../jsonl/inspect-file.ts'
import type { Inspected } from '../../jsonl/inspector.ts'
import { countSamples } from '../../jsonl/tokenizer.ts'
import { systemDisk } from '../../lib/disk.ts'
import { RefusedError, systemCodeOf } from '../../lib/errors.ts'
import { systemRandom } from '../../lib/random.ts'

export type Inputs = {
  /** In the order given; the files of a folder by name. */
  paths: string[]
  /** Files of a folder that hold results, not requests. */
  skipped: string[]
}

/** @throws RefusedError `no_such_file`, `not_a_file`, `no_input_files` */
export function findInputs(given: readonly string[]): Inputs {
  const inputs: Inputs = { paths: [], skipped: [] }
  for (const path of given) {
    const found = statOf(path)
    if (found.isDirectory()) addFolder(path, inputs)
    else if (found.isFile()) inputs.paths.push(path)
    else
      throw new RefusedError(
        'not_a_file',
        `${path} is neither a file nor a folder. It is read twice, so a pipe will not do.`,
      )
  }
  inputs.paths = [...new Set(inputs.paths)]
  return inputs
}

function statOf(path: string): ReturnType<typeof statSync> & object {
  try {
    return statSync(path)
  } catch (thrown) {
    const why =
      systemCodeOf(thrown) === 'ENOENT'
        ? 'There is no such file or folder'
        : `Cannot read it (${systemCodeOf(thrown)})`
    throw new RefusedError('no_such_file', `${path}: ${why}.`)
  }
}

function addFolder(folder: string, inputs: Inputs): void {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.jsonl') && !entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
  const paths = names.map((name) => join(folder, name)).filter((path) => statSync(path).isFile())
  const results = new Set(paths.filter(holdsResults))
  inputs.skipped.push(...results)
  const requests = paths.filter((path) => !results.has(path))
  if (requests.length === 0) {
    const others = results.size === 0 ? '' : ' but files of results'
    throw new RefusedError(
      'no_input_files',
      `${folder} holds no .jsonl files${others}. Folders inside it are not looked into.`,
    )
  }
  inputs.paths.push(...requests)
}

/** Guess: far more than a person reads. */
const FINDINGS_HELD_MAX = 1_000
/** Guess: the first line of a result file, or the part of it that tells what it is. */
const HEAD_BYTES = 64 * 1024

/** Whether the first line is one of an output or error file: it has an answer or an error, and nothing to be sent. */
export function holdsResults(path: string): boolean {
  const head = readHead(path)
  const line = head.split('\n').find((candidate) => candidate.trim() !== '')
  if (line === undefined) return false
  try {
    const row: unknown = JSON.parse(line)
    if (typeof row !== 'object' || row === null) return false
    return ('response' in row || 'error' in row) && !('body' in row && 'url' in row)
  } catch {
    // The line goes on behind the head, or is no JSON: what stands first tells a result line too.
    return /^\s*\{\s*"id"\s*:\s*"batch_req_/.test(line)
  }
}

function readHead(path: string): string {
  const file = openSync(path, 'r')
  try {
    const head = Buffer.alloc(HEAD_BYTES)
    return head.toString('utf8', 0, readSync(file, head, 0, HEAD_BYTES, 0))
  } finally {
    closeSync(file)
  }
}

export type Checked = {
  path: string
  inspected: Inspected
  /** Of the file when it was checked: what is sent later must be the same. */
  stamp: string
}

export type CheckOptions = {
  model: string | null
  /** Load the tokeniser of a model that has one, for an estimate. */
  countsTokens?: boolean
  signal: AbortSignal
  onProgress: (bytes: number) => void
}

/** @throws TroubleError; the signal's reason */
export async function checkInput(path: string, options: CheckOptions): Promise<Checked> {
  const stamp = stampOf(path)
  const { samples, ...inspected } = await inspectFile(path, {
    disk: systemDisk,
    random: systemRandom,
    temporaryFolder: tmpdir(),
    lineBytesMax: LINE_BYTES_MAX,
    // How many lines a file may have is the server's to say.
    linesMax: Number.MAX_SAFE_INTEGER,
    ...(options.model !== null && { modelOverride: options.model }),
    signal: options.signal,
    onProgress: options.onProgress,
  })
  const models =
    options.countsTokens === true ? await countSamples(inspected.models, samples) : inspected.models
  // Of many bad files only what will be shown is kept.
  return {
    path,
    inspected: { ...inspected, models, findings: inspected.findings.slice(0, FINDINGS_HELD_MAX) },
    stamp,
  }
}

/** Changes when the file is written to. */
export function stampOf(path: string): string {
  const { size, mtimeMs, ino } = statSync(path)
  return `${size} ${mtimeMs} ${ino}`
}
