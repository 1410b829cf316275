/** What an error of SQLite means. Codes: https://sqlite.org/rescode.html */
import { messageOf, TroubleError } from '../lib/errors.ts'

const PRIMARY_CODE_MASK = 0xff
const BUSY = 5
const LOCKED = 6
const NOMEM = 7
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const PROTOCOL = 15
const NOTADB = 26
/** Extended codes of a sync that failed: what was written may or may not be on the disk. */
const IOERR_FSYNC = 1034
const IOERR_DIR_FSYNC = 1290

const STORAGE_CODES: ReadonlySet<number> = new Set([
  BUSY,
  LOCKED,
  NOMEM,
  READONLY,
  IOERR,
  CORRUPT,
  FULL,
  CANTOPEN,
  PROTOCOL,
  NOTADB,
])

/** The extended result code, or null for an error that is not SQLite's. */
export function sqliteCodeOf(thrown: unknown): number | null {
  if (typeof thrown !== 'object' || thrown === null || !('errcode' in thrown)) return null
  return typeof thrown.errcode === 'number' ? thrown.errcode : null
}

/** The disk or the file is at fault, not the statement. */
export function isStorageCode(code: number | null): boolean {
  return code !== null && STORAGE_CODES.has(code & PRIMARY_CODE_MASK)
}

/** A failed sync: nobody knows what is stored, so the process must end and read the file afresh. */
export function isFailedSync(thrown: unknown): boolean {
  const code = sqliteCodeOf(thrown)
  return code === IOERR_FSYNC || code === IOERR_DIR_FSYNC
}

/** @returns `thrown` itself when the disk has no part in it */
export function sqliteTrouble(path: string, thrown: unknown): unknown {
  const code = sqliteCodeOf(thrown)
  if (code === null || !isStorageCode(code)) return thrown
  const options = { cause: thrown }
  switch (code & PRIMARY_CODE_MASK) {
    case FULL:
      return new TroubleError('disk_full', `no space left for ${path}`, options)
    case CORRUPT:
    case NOTADB:
      return new TroubleError(
        'damaged',
        `${path} is damaged (${messageOf(thrown)}): restore it from a backup`,
        options,
      )
    case BUSY:
    case LOCKED:
    case PROTOCOL:
      return new TroubleError('unreachable', `${path} is locked by another program`, options)
    default:
      return new TroubleError('disk_failed', `${path}: ${messageOf(thrown)} (code ${code})`, options)
  }
}
