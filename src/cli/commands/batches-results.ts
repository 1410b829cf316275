import { type Client, isPassing } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { messageOf } from '../../lib/errors.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatCount, formatNumber, oneLine } from '../format.ts'
import { type BatchResults, copyResults, standingAsRead } from '../results.ts'
import { type Opened, resumed } from '../results-content.ts'
import { errorsPathOf, noSink, openFileSink, openFileSinkLate, type Sink } from '../results-sink.ts'
import { countsLine, inputFaults, topGroupLines } from '../summary.ts'
import { createFailureGroups } from '../summary-groups.ts'
import {
  type Allowance,
  exitCodeOf,
  extrasOf,
  firstThatApplies,
  standingOf,
  stateWords,
} from '../summary-outcome.ts'
import { allowanceOption, pasteable, requireIds } from './batches-options.ts'
import { flagOption, textOption } from './input.ts'

type Settings = {
  ids: readonly string[]
  /** Null: standard output. */
  path: string | null
  includeErrors: boolean
  order: 'input' | 'completed'
  allowance: Allowance | null
}

type Sinks = { answers: Sink; errors: Sink; errorsPath: string | null }

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const settings = readSettings(input, context.env)
  const client = await context.client()
  // Every batch is looked up first: an unknown id among them writes nothing.
  const batches: WireBatch[] = []
  for (const id of settings.ids) batches.push(await client.batches.get(id, context.signal))
  const sinks = await openSinks(settings, context)
  try {
    const results: BatchResults[] = []
    for (const batch of batches) results.push(await copyOne(batch, { context, client, settings, sinks }))
    // The errors first: whoever finds the answers in their place finds all of it.
    await sinks.errors.commit()
    await sinks.answers.commit()
    tellTotal(results, { context, settings })
    return firstThatApplies(results.map((one) => exitCodeOf(standingAsRead(one), settings.allowance)))
  } catch (thrown) {
    await sinks.errors.abort()
    await sinks.answers.abort()
    throw thrown
  }
}

function readSettings(input: CommandInput, env: NodeJS.ProcessEnv): Settings {
  const path = textOption(input, 'outputFile')
  return {
    ids: requireIds(input),
    path: path === '-' ? null : path,
    includeErrors: flagOption(input, 'includeErrors'),
    order: textOption(input, 'order') === 'completed' ? 'completed' : 'input',
    allowance: allowanceOption(input, env),
  }
}

async function openSinks({ path, includeErrors }: Settings, { output }: CommandContext): Promise<Sinks> {
  const stdout: Sink = { ...noSink, write: (chunk) => output.bytes(chunk) }
  const answers = path === null ? stdout : await openFileSink(path)
  // What both share is committed and aborted once.
  if (includeErrors)
    return { answers, errors: { ...noSink, write: (chunk) => answers.write(chunk) }, errorsPath: null }
  const errorsPath = path === null ? null : errorsPathOf(path)
  return { answers, errors: errorsPath === null ? noSink : openFileSinkLate(errorsPath), errorsPath }
}

type CopyOptions = { context: CommandContext; client: Client; settings: Settings; sinks: Sinks }

async function copyOne(batch: WireBatch, options: CopyOptions): Promise<BatchResults> {
  const { context, client, settings, sinks } = options
  const groups = createFailureGroups()
  const results = await copyResults(batch, {
    read: (fileId) => readFile(fileId, { context, client, query: contentQuery(batch, settings) }),
    answers: sinks.answers,
    errors: sinks.errors,
    groups,
  })
  const { output } = context
  output.say(
    `${batch.id}: ${stateWords(batch)}${results.standing.isEnded ? '' : ' (PARTIAL: it still runs)'}`,
  )
  if (batch.status === 'failed') {
    for (const line of inputFaults(batch)) output.say(`  ${line}`)
    return results
  }
  for (const line of countWords(results)) output.say(`  ${line}`)
  for (const line of topGroupLines(groups.list())) output.say(line)
  if (results.read.failed + results.read.unanswered > 0) output.say(`  ${whereErrors(batch, options)}`)
  return results
}

/** Input order exists only once a batch has ended, and only on our server. */
function contentQuery(batch: WireBatch, settings: Settings): { order?: 'input' } {
  const hasInputOrder = extrasOf(batch) !== null && standingOf(batch).isEnded
  return hasInputOrder && settings.order === 'input' ? { order: 'input' } : {}
}

type ReadOptions = { context: CommandContext; client: Client; query: { order?: 'input' } }

function readFile(fileId: string, { context, client, query }: ReadOptions): AsyncIterable<Uint8Array> {
  const { signal, output } = context
  const open = async (fromByte: number): Promise<Opened> => {
    // A file in input order is put together as it is read, and knows no ranges.
    const range = fromByte === 0 || query.order === 'input' ? {} : { range: { start: fromByte } }
    return client.files.content(fileId, { ...query, ...range, signal })
  }
  const onTrouble = (thrown: unknown): void =>
    output.say(`${oneLine(messageOf(thrown))}; going on from where it was cut`)
  return resumed({ open, isPassing, signal, onTrouble })
}

function countWords(results: BatchResults): string[] {
  const { standing, read, missing } = results
  if (standing.isEnded) {
    const extra = missing < 0 ? [`${formatCount(-missing)} more lines than requests: this should not be`] : []
    return [countsLine({ ...standingAsRead(results), missing: Math.max(0, missing) }), ...extra]
  }
  const open = standing.total - standing.succeeded - standing.failed
  return [
    `${formatNumber(read.succeeded, 'answer')} so far; ${formatCount(standing.failed)} failed, ${formatCount(open)} open of ${formatNumber(standing.total, 'request')}`,
  ]
}

function whereErrors(batch: WireBatch, { settings, sinks }: CopyOptions): string {
  if (settings.includeErrors) return 'failed requests stand behind the answers, with their error'
  if (sinks.errorsPath !== null) return `failed requests are in ${sinks.errorsPath}`
  return `show the failed requests: ${pasteable(['files', 'content', batch.error_file_id ?? ''])}`
}

function tellTotal(
  results: readonly BatchResults[],
  { context, settings }: { context: CommandContext; settings: Settings },
): void {
  const { output } = context
  const answers = results.reduce((sum, { read }) => sum + read.succeeded, 0)
  const isPartial = results.some(({ standing }) => !standing.isEnded)
  if (settings.path !== null)
    output.say(
      `${formatNumber(answers, 'answer')} written to ${settings.path}${isPartial ? ' (PARTIAL)' : ''}`,
    )
  const running = results.filter(({ standing }) => !standing.isEnded).map(({ batch }) => batch.id)
  if (running.length > 0) output.say(`Wait for the rest: ${pasteable(['batches', 'watch', ...running])}`)
}
