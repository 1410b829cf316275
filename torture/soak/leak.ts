/** A preload: the server forgets to close files and to let go of memory, a little of each again and again. The defect. */
import { openSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

/** More than an idle server may have beyond its first batch, and few enough for any system's limit: a server that can open nothing hangs. */
const FILES_MAX = 740
const FILES_AT_ONCE = 20
const EVERY_MS = 25
/** By then the files of an idle server have been counted. */
const START_MS = 4_000

const files: number[] = []
const memory: Buffer[] = []

// Worker threads load it too.
if (isMainThread) setTimeout(leak, START_MS).unref()

function leak(): void {
  const timer = setInterval(() => {
    for (let count = 0; count < FILES_AT_ONCE; count += 1) files.push(openSync('/dev/null', 'r'))
    memory.push(Buffer.alloc(100_000, 1))
    if (files.length >= FILES_MAX) clearInterval(timer)
  }, EVERY_MS).unref()
}
