/** A command that is interrupted or killed in the middle: `dw …` as a process whose words can be waited for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type CommandResult, dwPath } from './server-process.ts'

export type DwChild = {
  pid: number
  stderr(): string
  /** Resolves once standard error has these words. @throws when the command ends without them */
  says(words: RegExp): Promise<void>
  kill(signal: NodeJS.Signals): void
  /** Once the process is gone; by a signal: exit code -1. */
  ended: Promise<CommandResult>
}

export function startDw(words: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): DwChild {
  const child = spawn(process.execPath, [dwPath, ...words], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const more = new EventTarget()
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    more.dispatchEvent(new Event('text'))
  })
  const ended = once(child, 'close').then(([code]): CommandResult => {
    more.dispatchEvent(new Event('text'))
    return { exitCode: typeof code === 'number' ? code : -1, stdout, stderr }
  })
  return {
    pid: child.pid ?? 0,
    stderr: () => stderr,
    async says(wanted) {
      while (!wanted.test(stderr)) {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`dw ${words.join(' ')} ended without ${wanted}:\n${stderr}`)
        await once(more, 'text')
      }
    },
    kill: (signal) => void child.kill(signal),
    ended,
  }
}
