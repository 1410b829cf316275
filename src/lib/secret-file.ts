/** Small files that only their owner may read: tokens, keys, addresses. Written whole or not at all. */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { makeDurableFolder } from './disk.ts'

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

export function readSecret(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null
}

/** Durable when it returns. */
export function writeSecret(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE })
  // Of this process alone: two that write at the same time do not disturb each other, and the later one is kept.
  const next = `${path}.${process.pid}.next`
  rmSync(next, { force: true })
  const file = openSync(next, 'wx', FILE_MODE)
  try {
    writeSync(file, `${text}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(next, path)
  syncFolder(dirname(path))
}

/** Durable when it returns: a secret that was taken away does not come back with a power cut. */
export function removeSecret(path: string): void {
  if (!existsSync(path)) return
  rmSync(path, { force: true })
  syncFolder(dirname(path))
}

/** Makes a folder that only its owner may enter, also when it was there with wider rights. Durable when it returns. */
export function makePrivateFolder(path: string): void {
  const makeFolder = (folder: string): void => void mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
  makeDurableFolder({ exists: existsSync, makeFolder, syncFolder }, resolve(path))
  chmodSync(path, FOLDER_MODE)
}

/** Makes an empty file that only its owner may read, for a library that would make it readable for all. One that is there keeps what it holds. */
export function makePrivateFile(path: string): void {
  // Never opened when it is there: closing it would give back the locks that this process holds on it.
  if (existsSync(path)) chmodSync(path, FILE_MODE)
  else closeSync(openSync(path, 'a', FILE_MODE))
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
