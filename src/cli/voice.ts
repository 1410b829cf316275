/** What a command speaks with: made from its decisions before it runs, and ended behind it. */
import { createLog, type Log } from './debug-log.ts'
import { createEventsFile } from './events.ts'
import { fieldsExpression } from './fields.ts'
import type { Filter } from './jq.ts'
import { createOutput, type Output, type OutputParts, written } from './output.ts'
import { printable } from './printable.ts'
import { type Speech, speechOf } from './speech.ts'

export type Voice = {
  output: Output
  log: Log
  /** Resolves when all that was printed is out. @throws CliError bad_jq */
  end(): Promise<void>
  /** Ends the log. */
  close(): void
}

/** Guess: rows of a terminal that does not tell. */
const ROWS_ELSE = 24

/** @param isList the command prints rows that may be many @throws CliError usage, bad_jq */
export async function createVoice(speech: Speech, { isList }: { isList: boolean }): Promise<Voice> {
  const log = createLog({ level: speech.logLevel, path: speech.logPath, hasBodies: speech.hasLogBodies })
  const pager = isList && speech.format === 'table' ? await pagerOf(speech) : null
  const held: (() => void)[] = []
  const { jqExpression, fields } = speech
  const filter = jqExpression === null ? null : await filterOf(jqExpression)
  let pickingFilter: Promise<Filter> | null = null
  const picking = (): Promise<Filter> => {
    pickingFilter ??= filterOf(`${fieldsExpression(fields ?? [])} | (${jqExpression ?? '.'})`)
    return pickingFilter
  }
  const parts: OutputParts = {
    filter,
    linesFilter: fields !== null ? picking : filter === null ? null : async () => filter,
    pager,
    held: pager === null ? null : held,
    eventsFile: speech.eventsPath === null ? null : createEventsFile(speech.eventsPath),
  }
  const endAll = async (): Promise<void> => {
    await pager?.end()
    for (const say of held) say()
    parts.eventsFile?.end()
    await filter?.end()
    await (await pickingFilter)?.end()
  }
  let ended: Promise<void> | null = null
  // Also calls that a command makes past its client: to look for engines, to test an address.
  const { fetch } = globalThis
  globalThis.fetch = log.watched(fetch)
  return {
    output: createOutput(speech, parts),
    log,
    close() {
      globalThis.fetch = fetch
      log.end()
    },
    end() {
      ended ??= endAll()
      return ended
    },
  }
}

async function filterOf(expression: string): Promise<Filter> {
  const { createFilter } = await import('./jq.ts')
  const isShown = process.stdout.isTTY === true
  return createFilter(expression, (text) => written(isShown ? printable(text) : text))
}

async function pagerOf({ pager }: Speech): Promise<OutputParts['pager']> {
  if (pager === null) return null
  const { createPager } = await import('./pager.ts')
  const { stdout } = process
  return createPager(pager, { rows: stdout.rows ?? ROWS_ELSE, print: (text) => void stdout.write(text) })
}

/**
 * For what runs without a command of its own, or beside one.
 * @param options as the parser gives them, for example `{ quiet: true, json: true }`
 */
export function plainVoice(options: Readonly<Record<string, unknown>>): {
  speech: Speech
  voice: Pick<Voice, 'output' | 'log'>
} {
  const tty = { stdin: false, stdout: false, stderr: false }
  const speech = speechOf({ options: { input: false, ...options }, env: {}, tty })
  const parts = { filter: null, linesFilter: null, pager: null, held: null, eventsFile: null }
  const log = createLog({ level: null, path: null, hasBodies: false })
  return { speech, voice: { output: createOutput(speech, parts), log } }
}
