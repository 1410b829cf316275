/** A preload: writes to the result log reach the system 100 ms after the server was told that they had. The defect. */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const LATE_MS = 100
const isLog = /\.log$/
const late = new Set<number>()
const { closeSync, openSync, writeSync } = fs

fs.openSync = (path, ...more) => {
  const file = openSync(path, ...more)
  if (isLog.test(String(path))) late.add(file)
  else late.delete(file)
  return file
}
fs.closeSync = (file) => {
  late.delete(file)
  closeSync(file)
}
// One of its forms is all that the product uses.
fs.writeSync = ((file: number, bytes: Uint8Array, from: number, length: number, at: number) => {
  if (!late.has(file)) return writeSync(file, bytes, from, length, at)
  const copy = Buffer.from(bytes.subarray(from, from + length))
  setTimeout(() => {
    if (late.has(file)) writeSync(file, copy, 0, length, at)
  }, LATE_MS)
  return length
}) as typeof fs.writeSync
syncBuiltinESMExports()
