/** The command line: parses the words, runs one command, turns whatever happens into words and an exit code. */
import { CommanderError } from 'commander'
import { errorFacts } from './cli-error.ts'
import { exitCode } from './exit-codes.ts'
import { liftGlobalOptions } from './global-options.ts'
import { shortHelp } from './help.ts'
import { buildProgram, type Chosen } from './parser.ts'
import { printable, printableJson } from './printable.ts'
import { type SpeechFacts, speechOf, wantsJson } from './speech.ts'

/** @returns the exit code */
export async function main(words: readonly string[]): Promise<number> {
  endQuietlyOnClosedPipe()
  // A shell asks for completions this way; whatever comes behind is what was typed so far.
  if (words[0] === 'complete') return (await import('./completion.ts')).complete(words.slice(1))
  if (words.length === 0) {
    process.stderr.write(shortHelp())
    return exitCode('usage')
  }
  const outcome: { chosen: Chosen | null } = { chosen: null }
  try {
    const program = buildProgram((chosen) => {
      outcome.chosen = chosen
    })
    await program.parseAsync(liftGlobalOptions(words), { from: 'user' })
    if (outcome.chosen !== null) return await run(outcome.chosen)
    return exitCode('ok')
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : exitCode('usage')
    return tell(thrown, { words, path: outcome.chosen?.spec.path ?? null })
  }
}

async function run({ spec, input, global }: Chosen): Promise<number> {
  const abort = new AbortController()
  const onInterrupt = (): void => {
    if (abort.signal.aborted) process.exit(exitCode('interrupted'))
    abort.abort(new Error('interrupted'))
  }
  // The server has signals of its own.
  if (spec.path[0] !== 'serve') process.on('SIGINT', onInterrupt)
  const speech = speechOf({ options: global, env: process.env, tty: ttys() })
  // Libraries have rules of their own, by which FORCE_COLOR wins over NO_COLOR.
  if (!speech.isColoured) {
    delete process.env.FORCE_COLOR
    process.env.NO_COLOR = '1'
  }
  const { createVoice } = await import('./voice.ts')
  const voice = await createVoice(speech, { isList: spec.path.at(-1) === 'list' })
  const { createContext } = await import('./context.ts')
  const { withSettings } = await import('./setting-options.ts')
  const named = { server: textOrNull(global.server), profile: textOrNull(global.profile ?? global.account) }
  const context = createContext({ ...named, speech, voice }, abort.signal)
  const name = `dw ${spec.path.join(' ')}`
  try {
    const command = await spec.load()
    const code = await command.run(context, withSettings(spec, input, context))
    await voice.end()
    voice.log.write('info', `${name} ended with exit code ${code}`)
    return code
  } catch (thrown) {
    // What was printed until then is shown. Why the command failed says more than why that could not be.
    await voice.end().catch(() => undefined)
    if (abort.signal.aborted && thrown === abort.signal.reason) return exitCode('interrupted')
    voice.log.write('error', `${name} failed: ${errorFacts(thrown).code}`)
    if (speech.logLevel === 'debug') voice.log.write('debug', stackOf(thrown))
    const { withNearest } = await import('./nearest-value.ts')
    throw await withNearest(thrown, { spec, input, context })
  } finally {
    process.off('SIGINT', onInterrupt)
    voice.close()
  }
}

function ttys(): SpeechFacts['tty'] {
  const { stdin, stdout, stderr } = process
  return { stdin: stdin.isTTY === true, stdout: stdout.isTTY === true, stderr: stderr.isTTY === true }
}

/** Where in the program it was thrown; the message stands in the error itself, and may quote a request. */
function stackOf(thrown: unknown): string {
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : ''
  const place = stack.indexOf('\n    at ')
  return place === -1 ? '' : stack.slice(place)
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** @returns the exit code */
async function tell(
  thrown: unknown,
  asked: { words: readonly string[]; path: readonly string[] | null },
): Promise<number> {
  const { errorReport, reportJson, reportLines } = await import('./error-report.ts')
  const report = errorReport(thrown, asked)
  const text = wantsJson(asked.words)
    ? printableJson(reportJson(report))
    : printable(reportLines(report).join('\n'))
  process.stderr.write(`${text}\n`)
  return report.exitCode
}

/** Whoever reads our output may stop reading: that is no error of ours. */
function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
}
