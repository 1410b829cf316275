/**
 * A preload for the server process: its wall clock does what the file named by `DW_TORTURE_WALL_CLOCK` says, as JSON
 * `{ "addMs": …, "rate": … }`: that much away from the true one, and running that many times as fast since the file was read.
 * With `DW_TORTURE_FOLLOW` the monotonic clock follows the wall clock: the defect.
 */
import { readFileSync } from 'node:fs'

const trueNow = Date.now.bind(Date)
const path = process.env.DW_TORTURE_WALL_CLOCK
let text = ''
let wall = { since: trueNow(), from: trueNow(), rate: 1 }

function now(): number {
  return Math.floor(wall.from + (trueNow() - wall.since) * wall.rate)
}

function read(file: string): void {
  const next = readFileSync(file, 'utf8')
  if (next === text) return
  text = next
  const { addMs, rate } = JSON.parse(text) as { addMs: number; rate: number }
  wall = { since: trueNow(), from: now() + addMs, rate }
}

if (path !== undefined) {
  read(path)
  setInterval(() => read(path), 10).unref()
  Date.now = now
  if (process.env.DW_TORTURE_FOLLOW !== undefined) performance.now = now
}
