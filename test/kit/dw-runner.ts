/** Runs many commands in one process (`dw-host.ts`), each with its own words, folder and environment: a start costs ten times a command. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { CommandResult } from './server-process.ts'

export type HostTask = { words: string[]; cwd: string; env: NodeJS.ProcessEnv }

export type DwRunner = {
  /** Not on a terminal, with empty standard input. One at a time: a call waits for those before it. */
  run(words: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): Promise<CommandResult>
  stop(): Promise<void>
}

/** Guess: a command of a test takes a tenth of a second; a machine that does much else is slow to start the first. */
const COMMAND_MS_MAX = 60_000

export function startDwRunner(): DwRunner {
  // The flags of a test runner are not those of a command.
  const host = fork(join(import.meta.dirname, 'dw-host.ts'), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  })
  const ended = once(host, 'exit')
  let last: Promise<unknown> = Promise.resolve()
  const runOne = async (task: HostTask): Promise<CommandResult> => {
    host.send(task)
    const answer = once(host, 'message') as Promise<[CommandResult]>
    const [result] = await Promise.race([
      answer,
      once(AbortSignal.timeout(COMMAND_MS_MAX), 'abort').then(() => {
        throw new Error(`dw ${task.words.join(' ')} takes too long`)
      }),
      ended.then(([code]) => {
        throw new Error(`dw ${task.words.join(' ')} ended the process with ${code}`)
      }),
    ])
    return result
  }
  return {
    run(words, { cwd, env }) {
      const next = last.then(() => runOne({ words: [...words], cwd, env }))
      last = next.catch(() => undefined)
      return next
    },
    async stop() {
      host.kill('SIGKILL')
      await ended
    },
  }
}
