/** What a model is asked: the words of the command, what is piped in, or both. */
import { fstatSync } from 'node:fs'
import { LINE_BYTES_MAX } from '../../domain/limits.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'

/** Guess: whoever pipes something in has sent it by then; anybody else wonders why nothing happens. */
const STDIN_HINT_MS = 2_000

/** The words of the command, and below them what was piped in. @throws CliError when there is neither */
export async function promptOf(context: CommandContext, words: string): Promise<string> {
  const piped = await readPiped(context)
  if (words === '' && piped === '') {
    throw usageError(
      'There is no prompt.',
      'Give one: dw realtime MODEL "Why is the sky blue?", or pipe it in: dw realtime MODEL < prompt.txt',
    )
  }
  return words !== '' && piped !== '' ? `${words}\n\n${piped}` : words + piped
}

async function readPiped({ output, signal }: CommandContext): Promise<string> {
  if (process.stdin.isTTY === true || !isPipeOrFile()) return ''
  const hint = setTimeout(
    () => output.say('reading standard input; it ends with Ctrl-D, or give < /dev/null'),
    STDIN_HINT_MS,
  )
  const stop = (): void => void process.stdin.destroy()
  signal.addEventListener('abort', stop, { once: true })
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of process.stdin) {
      // No encoding is set, so that chunks are bytes.
      const buffer = chunk as Buffer
      clearTimeout(hint)
      bytes += buffer.byteLength
      if (bytes > LINE_BYTES_MAX) throw usageError(`Standard input exceeds ${LINE_BYTES_MAX} bytes.`)
      chunks.push(buffer)
    }
  } finally {
    clearTimeout(hint)
    signal.removeEventListener('abort', stop)
  }
  signal.throwIfAborted()
  return Buffer.concat(chunks).toString('utf8')
}

/** Not a device such as /dev/null, and not closed. */
function isPipeOrFile(): boolean {
  try {
    const stdin = fstatSync(0)
    return stdin.isFIFO() || stdin.isFile() || stdin.isSocket()
  } catch {
    // Closed by whoever started the program.
    return false
  }
}
