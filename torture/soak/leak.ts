/** A preload: the server forgets to close a file and to let go of memory, a little of each all the time. The defect. */
import { openSync } from 'node:fs'

const held: unknown[] = []
setInterval(() => {
  for (let count = 0; count < 20; count += 1) held.push(openSync('/dev/null', 'r'))
  held.push(Buffer.alloc(100_000, 1))
}, 50).unref()
