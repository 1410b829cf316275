import type { Client } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatCount, formatNumber } from '../format.ts'
import { type BatchResults, copyResults, standingAsRead } from '../results.ts'
import { countsLine, inputFaults, topGroupLines } from '../summary.ts'
import { createFailureGroups } from '../summary-groups.ts'
import { type Allowance, exitCodeOf, firstThatApplies, stateWords } from '../summary-outcome.ts'
import { allowanceOption, pasteable, requireIds } from './batches-options.ts'
import { flagOption, textOption } from './input.ts'
import { openTarget, type ResultsTarget } from './results-target.ts'

type Settings = {
  ids: readonly string[]
  /** Null: standard output. */
  path: string | null
  includeErrors: boolean
  order: 'input' | 'completed'
  allowance: Allowance | null
}

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const settings = readSettings(input, context.env)
  const client = await context.client()
  // Every batch is looked up first: an unknown id among them writes nothing.
  const batches: WireBatch[] = []
  for (const id of settings.ids) batches.push(await client.batches.get(id, context.signal))
  const [first] = batches
  if (flagOption(input, 'merged') && first !== undefined) {
    if (batches.length > 1) throw usageError('--merged takes one batch; its retries are found.')
    // Holds what does not fit in memory, and tidies up at the end of the process.
    const { writeMerged } = await import('./results-merged.ts')
    return writeMerged({ client, context }, first, settings)
  }
  const target = await openTarget(batches, { settings, context, client })
  try {
    const results: BatchResults[] = []
    for (const batch of batches) results.push(await copyOne(batch, { context, client, settings, target }))
    await target.commit()
    tellTotal(results, { context, settings })
    return firstThatApplies(results.map((one) => exitCodeOf(standingAsRead(one), settings.allowance)))
  } catch (thrown) {
    await target.suspend()
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

type CopyOptions = { context: CommandContext; client: Client; settings: Settings; target: ResultsTarget }

async function copyOne(batch: WireBatch, options: CopyOptions): Promise<BatchResults> {
  const { context, target } = options
  const groups = createFailureGroups()
  const results = await copyResults(batch, {
    read: target.read,
    answers: target.answers,
    errors: target.errors,
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

function whereErrors(batch: WireBatch, { settings, target }: CopyOptions): string {
  if (settings.includeErrors) return 'failed requests stand behind the answers, with their error'
  if (target.errorsPath !== null) return `failed requests are in ${target.errorsPath}`
  return `why they failed: ${pasteable(['errors', batch.id])}`
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
