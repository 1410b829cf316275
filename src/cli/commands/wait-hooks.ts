/** What a person wants to happen when batches have come out: a command of theirs, and a notice on their desk. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { CommandContext } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { formatNumber } from '../format.ts'
import { printable } from '../printable.ts'
import { type Allowance, exitCodeOf, standingOf, stateWords } from '../summary-outcome.ts'
import type { Watched } from '../watch.ts'

export type Hooks = {
  /** A batch has come out. Commands run one after the other, in that order. */
  onOut(watched: Watched): void
  /** All have come out. Resolves when everything has run. @returns an exit code: 1 when a command failed */
  end(watched: readonly Watched[]): Promise<number>
}

export type HookOptions = {
  context: CommandContext
  allowance: Allowance | null
  /** For the shell, as it was written; null: none. */
  command: string | null
  isNotified: boolean
}

export function createHooks({ context, allowance, command, isNotified }: HookOptions): Hooks {
  let last: Promise<void> = Promise.resolve()
  let failures = 0
  const runFor = async (words: string, watched: Watched): Promise<void> => {
    const variables = variablesOf(watched, allowance)
    if (variables === null || context.signal.aborted) return
    const ended = await runShell(words, { ...context.env, ...variables })
    if (ended === null) return
    failures += 1
    context.output.warn(`--exec ${ended} for ${watched.id}`)
  }
  return {
    onOut(watched) {
      if (command !== null) last = last.then(() => runFor(command, watched))
    },
    async end(watched) {
      await last
      if (isNotified) await notify(context, watched)
      return exitCode(failures === 0 ? 'ok' : 'unexpected')
    },
  }
}

/** Null for a batch that has not come out. Ids and words reach the command through these alone, so that no shell reads them. */
function variablesOf(watched: Watched, allowance: Allowance | null): Record<string, string> | null {
  if (watched.kind === 'lost' || watched.batch === null) return null
  if (watched.kind === 'left' && !watched.isEnough) return null
  const { batch } = watched
  const standing = standingOf(batch)
  const outcome = watched.kind === 'left' ? exitCode('ok') : exitCodeOf(standing, allowance)
  return {
    DW_BATCH_ID: batch.id,
    DW_BATCH_STATUS: batch.status,
    DW_BATCH_EXIT_CODE: String(outcome),
    DW_BATCH_TOTAL: String(standing.total),
    DW_BATCH_SUCCEEDED: String(standing.succeeded),
    DW_BATCH_FAILED: String(standing.failed),
  }
}

/** @returns what went wrong; null for a success */
async function runShell(command: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  // Its output is talk: standard output belongs to the batches.
  const child = spawn(command, { shell: true, env, stdio: ['ignore', 2, 2] })
  try {
    const [code, signal] = await once(child, 'close')
    if (code === 0) return null
    return code === null ? `was ended by ${String(signal)}` : `ended with ${String(code)}`
  } catch (thrown) {
    return `could not be run: ${String(thrown)}`
  }
}

const BELL = '\u0007'
/** Guess: a desk that does not answer is not waited for. */
const NOTICE_MS_MAX = 5_000

async function notify({ output, env }: CommandContext, watched: readonly Watched[]): Promise<void> {
  if (output.stderr.isTTY === true && env.TERM !== 'dumb') output.stderr.write(BELL)
  const [first] = watched
  const title = 'dw'
  const words =
    watched.length === 1 && first !== undefined
      ? wordsOf(first)
      : `${formatNumber(watched.length, 'batch', 'batches')}: ${[...new Set(watched.map(shortWords))].join('; ')}`
  const [program, ...given] = noticeCommand(title, printable(words))
  if (program === undefined) return
  const child = spawn(program, given, { stdio: 'ignore', timeout: NOTICE_MS_MAX, env })
  // A machine without such a program has no desk; the words on the screen say it all.
  await once(child, 'close').catch(() => undefined)
}

function wordsOf(watched: Watched): string {
  return `${watched.id}: ${shortWords(watched)}`
}

function shortWords(watched: Watched): string {
  if (watched.kind === 'lost') return 'cannot be watched any longer'
  return watched.batch === null ? 'not seen' : stateWords(watched.batch)
}

/** The text is an argument of its own: nothing reads it as a command. */
function noticeCommand(title: string, words: string): string[] {
  if (process.platform === 'linux') return ['notify-send', '--app-name=dw', '--', title, words]
  if (process.platform !== 'darwin') return []
  const script = [
    'on run argv',
    'display notification (item 2 of argv) with title (item 1 of argv)',
    'end run',
  ]
  return ['osascript', ...script.flatMap((line) => ['-e', line]), title, words]
}
