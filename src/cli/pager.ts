/** A pager for tables that are longer than the terminal: started when the first line would scroll away, and fed as lines come. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export type Pager = {
  write(text: string): void
  /** Resolves when the reader has left the pager. */
  end(): Promise<void>
}

/**
 * @param command of the environment, as a shell takes it
 * @param rows of the terminal
 * @param print to the terminal itself, for what fits
 */
export function createPager(
  command: string,
  { rows, print }: { rows: number; print: (text: string) => void },
): Pager {
  let kept: string[] = []
  let keptLines = 0
  let child: ChildProcess | null = null
  const start = (): ChildProcess => {
    const env = { LESS: 'FRX', LV: '-c', ...process.env }
    const started = spawn(command, { shell: true, stdio: ['pipe', 'inherit', 'inherit'], env })
    // The reader has left before the end: whatever comes is for nobody.
    started.stdin?.on('error', () => undefined)
    started.once('error', () => undefined)
    for (const text of kept) started.stdin?.write(text)
    kept = []
    return started
  }
  return {
    write(text) {
      if (child !== null) {
        // Nobody reads on, so nothing is asked for on their behalf either.
        if (child.exitCode !== null) process.exit(0)
        child.stdin?.write(text)
        return
      }
      kept.push(text)
      keptLines += text.split('\n').length - 1
      // The prompt of the shell takes the last row.
      if (keptLines >= rows) child = start()
    },
    async end() {
      if (child === null) return print(kept.join(''))
      const ended = once(child, 'close')
      child.stdin?.end()
      if (child.exitCode === null && child.signalCode === null) await ended
    },
  }
}
