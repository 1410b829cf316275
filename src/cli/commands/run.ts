/**
 * The whole job in one command: checks the input, sends it, waits, fetches the results and holds them against the requests. Everything
 * that costs is in the journal before it is done (`run/journal.ts`), so that the same command goes on after any end.
 */
import { randomUUID } from 'node:crypto'
import type { Client } from '../../client/client.ts'
import { isPassing } from '../../client/client.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { baseUrlOf } from '../layers.ts'
import { openJournal, type RunRecord, runKeyOf } from '../run/journal.ts'
import { cutParts, type Part } from '../run/part-plan.ts'
import { type RunState, resumeState, type StateOptions, startState } from '../run/run-state.ts'
import { exceeds, type ServiceLimits } from '../run/service-limits.ts'
import { readSource } from '../run/source.ts'
import { type Earlier, earlierWords, lookAtEarlier, requireIdle } from './run-attach.ts'
import { type RunInput, withRunInput } from './run-input.ts'
import { interrupted, sameCommand } from './run-interrupt.ts'
import { requireModels } from './run-models.ts'
import { limitsFor, type RunSettings, runSettings } from './run-options.ts'
import { requireCost, tellPlan } from './run-plan.ts'
import { report, tellNothingRan } from './run-report.ts'
import { fetchResults } from './run-results.ts'
import type { Job } from './run-send.ts'
import { requireWritable } from './run-store.ts'
import { sendAll, workThrough } from './run-work.ts'
import { upstreamOption } from './upstream-choice.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const settings = runSettings(input, context.env)
  const choice = upstreamOption(input, context.env)
  if (choice === null) return runWith(context, settings)
  if (settings.isDetached)
    throw usageError(
      '--detach needs a server that goes on; that of --upstream ends with the command.',
      'dw serve starts one.',
    )
  const { withEmbeddedServer } = await import('./embedded-server.ts')
  return withEmbeddedServer(context, { choice, isIdle: settings.isDryRun }, (chosen) =>
    runWith(chosen, settings),
  )
}

/** A run that is terminated does what one that is interrupted does, and says so by its exit code. */
async function runWith(outer: CommandContext, settings: RunSettings): Promise<number> {
  const terminated = new AbortController()
  const onTerminate = (): void => terminated.abort(new Error('terminated'))
  process.once('SIGTERM', onTerminate)
  const context = { ...outer, signal: AbortSignal.any([outer.signal, terminated.signal]) }
  try {
    const code = await untilInterrupted(context, settings)
    return code === exitCode('interrupted') && terminated.signal.aborted ? exitCode('terminated') : code
  } finally {
    process.off('SIGTERM', onTerminate)
  }
}

async function untilInterrupted(context: CommandContext, settings: RunSettings): Promise<number> {
  const { output, signal } = context
  try {
    const code = await withRunInput(context, settings, (checked) => runChecked(context, settings, checked))
    return code ?? exitCode('invalidInput')
  } catch (thrown) {
    if (!signal.aborted) throw thrown
    output.warn('Nothing was submitted.')
    return exitCode('interrupted')
  }
}

async function runChecked(context: CommandContext, settings: RunSettings, input: RunInput): Promise<number> {
  const client = await context.client()
  const limits = limitsFor(settings, context.serverUrl())
  const journal = openJournal(context.env)
  const key = runKeyOf({
    server: context.serverUrl(),
    apiKey: keyFor(context),
    contentHash: input.contentHash,
    endpoint: input.endpoint,
    model: settings.model,
    window: settings.window,
    metadata: settings.metadata,
    sample: settings.sample,
  })
  const record = settings.isNew ? null : journal.read(key)
  if (settings.isDryRun) return dryRun(context, { client, settings, input, record, limits })
  if (record !== null) requireIdle(record)
  const earlier = record === null ? null : await lookAtEarlier(record, { client, context })
  if (earlier !== null)
    for (const line of earlierWords(earlier, { now: Date.now(), isServerOwn: context.isServerOwn === true }))
      context.output.say(line)
  const mustPay =
    earlier === null ||
    earlier.batches.some((batch, place) => batch === null || earlier.isSpent[place] === true)
  if (mustPay) {
    await requireModels(context, { client, input, settings })
    await requireCost(client, input, settings)
  }
  if (settings.outputPath !== null && !settings.isDetached) await requireWritable(settings.outputPath)
  const options: StateOptions = { key, journal, now: Date.now, newKey: randomUUID }
  const state =
    earlier === null ? startState(await partsOf(input, settings, limits), options) : resumed(earlier, options)
  return work({ context, client, settings, input, state }, limits)
}

/** What a key is worth only together with the server it is for. */
function keyFor(context: CommandContext): string | null {
  const { target } = context.setup()
  return target !== null && baseUrlOf(target) === context.serverUrl() ? target.key : null
}

function resumed(earlier: Earlier, options: StateOptions): RunState {
  const state = resumeState(earlier.record, options)
  for (const [place, isSpent] of earlier.isSpent.entries())
    if (isSpent) state.restart(place, { keepsFile: false })
  return state
}

async function partsOf(input: RunInput, { model }: RunSettings, limits: ServiceLimits): Promise<Part[]> {
  const { source, lines } = input
  const whole: Part = { start: 0, end: source.bytes, model: null, lines }
  const models = model === null ? input.models.length : 1
  if (!exceeds({ lines, bytes: source.bytes, models }, limits)) return [whole]
  return cutParts(whole, { read: () => readSource(source, whole), limits, modelOverride: model })
}

async function work(job: Job, limits: ServiceLimits): Promise<number> {
  const { context, client, settings, state } = job
  try {
    if (settings.isDetached) {
      for (const id of await sendAll(job)) context.output.line(id)
      return exitCode('ok')
    }
    const batches = await workThrough(job, limits)
    // An older file of results stays where there are none to take its place.
    if (
      batches.every((batch) => !batch.output_file_id && !batch.error_file_id && batch.status !== 'completed')
    ) {
      tellNothingRan(context, batches)
      return exitCode('notCompleted')
    }
    const results = await fetchResults(job, batches)
    state.end()
    return await report(job, batches, results)
  } catch (thrown) {
    if (!context.signal.aborted) {
      if (state.parts().some(({ batchId }) => batchId !== null))
        context.output.warn(
          `What was submitted keeps running. The same command goes on with it: ${sameCommand()}`,
        )
      throw thrown
    }
    return interrupted({ context, client, state, cancels: settings.cancelsOnInterrupt })
  }
}

type DryRun = {
  client: Client
  settings: RunSettings
  input: RunInput
  record: RunRecord | null
  limits: ServiceLimits
}

async function dryRun(
  context: CommandContext,
  { client, settings, input, record, limits }: DryRun,
): Promise<number> {
  const facts = { client, settings, input }
  try {
    const earlier = record === null ? null : await lookAtEarlier(record, { client, context })
    const kept =
      earlier?.batches.filter((batch, place) => batch !== null && earlier.isSpent[place] !== true) ?? []
    const batchIds = kept.flatMap((batch) => batch?.id ?? [])
    const parts = earlier?.record.parts ?? (await partsOf(input, settings, limits))
    const action = batchIds.length > 0 ? 'reattach' : 'new'
    if (action === 'new') await requireModels(context, facts)
    await tellPlan(context, { ...facts, batches: parts.length - batchIds.length, action, batchIds })
  } catch (thrown) {
    if (!isPassing(thrown)) throw thrown
    await tellPlan(context, { ...facts, batches: 1, action: 'unknown', batchIds: [] })
  }
  return exitCode('ok')
}
