/**
 * What the command line remembers of a run, so that the same command after a crash, a cut connection or a Ctrl-C goes on with it
 * instead of paying twice: one small file for each run, in the state folder.
 *
 * It is written before the upload, and after every step: file uploaded, batch asked for, batch made. A part with `isAsked` and without a
 * batch may have one that nobody told of; it is looked for before another is asked for, under the same idempotency key.
 * A crash leaves the last step that was written; a file that cannot be read counts as none.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { writeSecret } from '../../lib/secret-file.ts'
import { stateFolder } from '../user-files.ts'
import type { Part } from './part-plan.ts'

const VERSION = 1
/** Guess: small files; the oldest that have ended go first. */
const RUNS_KEPT_MAX = 500

/** A part of the input on its way to becoming a batch. */
export type PartRecord = Part & {
  /** The same over every try of this one batch; another batch has another. */
  idempotencyKey: string
  fileId: string | null
  /** A batch of the file was asked for; whether it was made is known only once `batchId` is. */
  isAsked: boolean
  batchId: string | null
}

export type RunRecord = {
  version: number
  /** Epoch ms. */
  startedAt: number
  /** Set when its results were read to the end. */
  endedAt: number | null
  /** Of the process that submits it. */
  pid: number
  parts: readonly PartRecord[]
}

/** What makes two runs the same one. */
export type RunIdentity = {
  server: string
  /** Tells tenants apart; only its hash is kept. */
  apiKey: string | null
  /** SHA-256 of the input, hex. */
  contentHash: string
  endpoint: string
  model: string | null
  window: string
  metadata: Readonly<Record<string, string>> | null
  sample: { count: number; seed: number } | null
}

export function runKeyOf(identity: RunIdentity): string {
  const { apiKey, metadata, ...rest } = identity
  const tenant = apiKey === null ? null : createHash('sha256').update(apiKey).digest('hex')
  const pairs = Object.entries(metadata ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const text = JSON.stringify([Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1)), tenant, pairs])
  return createHash('sha256').update(text).digest('hex').slice(0, KEY_DIGITS)
}

/** Enough that two runs do not meet. */
const KEY_DIGITS = 32

export function newRecord(
  parts: readonly Part[],
  { now, newKey }: { now: number; newKey: () => string },
): RunRecord {
  return {
    version: VERSION,
    startedAt: now,
    endedAt: null,
    pid: process.pid,
    parts: parts.map((part) => freshPart(part, newKey)),
  }
}

/** As it stands before anything was sent. */
export function freshPart({ start, end, model, lines }: Part, newKey: () => string): PartRecord {
  return { start, end, model, lines, idempotencyKey: newKey(), fileId: null, isAsked: false, batchId: null }
}

export type Journal = {
  read(key: string): RunRecord | null
  /** Durable when it returns. */
  write(key: string, record: RunRecord): void
}

export function openJournal(env: NodeJS.ProcessEnv): Journal {
  const folder = join(stateFolder(env), 'runs')
  const pathOf = (key: string): string => join(folder, `${key}.json`)
  return {
    read: (key) => readRecord(pathOf(key)),
    write(key, record) {
      writeSecret(pathOf(key), JSON.stringify(record))
      if (record.parts.every(({ fileId }) => fileId === null)) prune(folder)
    },
  }
}

function readRecord(path: string): RunRecord | null {
  try {
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'))
    // Written by this file; a later version says so.
    return (record as RunRecord).version === VERSION ? (record as RunRecord) : null
  } catch {
    // Absent, or of no use: the run counts as a new one.
    return null
  }
}

function prune(folder: string): void {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
  if (names.length <= RUNS_KEPT_MAX) return
  const aged = names.map((name) => {
    const path = join(folder, name)
    const isOpen = readRecord(path)?.endedAt === null
    return { path, isOpen, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }
  })
  aged.sort((a, b) => Number(a.isOpen) - Number(b.isOpen) || a.at - b.at)
  for (const { path } of aged.slice(0, names.length - RUNS_KEPT_MAX)) rmSync(path, { force: true })
}
