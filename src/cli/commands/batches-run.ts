/**
 * Checks all files, then submits them one after the other. What a Ctrl-C or a crash leaves behind is what was said until then: every
 * batch that exists has been named on stderr and written to `--output-id`.
 */
import { randomUUID } from 'node:crypto'
import { appendFileSync, closeSync, mkdirSync, openSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ApiError, type Client } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { messageOf } from '../../lib/errors.ts'
import { type ErrorFacts, errorFacts, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { groupedTroubles } from '../error-report.ts'
import { submittedEvent } from '../events.ts'
import { exitCode } from '../exit-codes.ts'
import { formatNumber, oneLine } from '../format.ts'
import { createByteProgress } from '../progress-bytes.ts'
import { findingLines } from '../summary-findings.ts'
import { type Allowance, firstThatApplies } from '../summary-outcome.ts'
import { noteUpload } from '../user-files.ts'
import { type Checked, checkInput, findInputs } from './batches-files.ts'
import { follow } from './batches-follow.ts'
import { allowanceOption, batchView, metadataOption, pasteable, windowOption } from './batches-options.ts'
import { submit } from './batches-submit.ts'
import { flagOption, textOption } from './input.ts'

type Settings = {
  paths: readonly string[]
  model: string | null
  window: string
  metadata: Record<string, string> | null
  isWatched: boolean
  skipInvalid: boolean
  idsPath: string | null
  allowance: Allowance | null
}

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const settings = readSettings(input, context.env)
  const inputs = findInputs(settings.paths)
  for (const path of inputs.skipped) context.output.say(`${path}: left out, it holds results, not requests`)
  const checked = await checkAll(inputs.paths, { context, settings })
  if (checked === null) {
    context.output.warn('Nothing was submitted.')
    return exitCode('interrupted')
  }
  const good = checked.filter(({ inspected }) => inspected.findingsTotal === 0)
  const isAllGood = good.length === checked.length
  if (!isAllGood) tellFindings(checked, { context, settings })
  if (good.length === 0 || (!isAllGood && !settings.skipInvalid)) return exitCode('invalidInput')
  if (settings.idsPath !== null) requireWritable(settings.idsPath)
  return submitAll(good, { context, settings })
}

function readSettings(input: CommandInput, env: NodeJS.ProcessEnv): Settings {
  const model = textOption(input, 'model')
  if (model?.trim() === '') throw usageError('--model needs the name of a model.')
  if (input.arguments.length === 0) throw usageError('Name a .jsonl file, or a folder of them.')
  return {
    paths: input.arguments,
    model,
    window: windowOption(input),
    metadata: metadataOption(input),
    isWatched: flagOption(input, 'watch'),
    skipInvalid: flagOption(input, 'skipInvalid'),
    idsPath: textOption(input, 'outputId'),
    allowance: allowanceOption(input, env),
  }
}

type Setting = { context: CommandContext; settings: Settings }

/** @returns null when interrupted */
async function checkAll(paths: readonly string[], { context, settings }: Setting): Promise<Checked[] | null> {
  const checked: Checked[] = []
  for (const path of paths) {
    const progress = createByteProgress(context.output, {
      label: `checking ${path}`,
      total: statSync(path).size,
    })
    try {
      const { signal } = context
      checked.push(await checkInput(path, { model: settings.model, signal, onProgress: progress.update }))
    } catch (thrown) {
      if (context.signal.aborted) return null
      throw thrown
    } finally {
      progress.end()
    }
  }
  return checked
}

function tellFindings(checked: readonly Checked[], { context, settings }: Setting): void {
  const { output } = context
  const bad = checked.filter(({ inspected }) => inspected.findingsTotal > 0)
  for (const { path, inspected } of bad) {
    output.warn(
      `${path}: ${formatNumber(inspected.findingsTotal, 'finding')} in ${formatNumber(inspected.lines, 'request')}`,
    )
    for (const line of findingLines(inspected.findings, inspected.findingsTotal)) output.warn(`  ${line}`)
  }
  const goodCount = checked.length - bad.length
  if (goodCount > 0 && settings.skipInvalid)
    return output.warn(`Left out ${formatNumber(bad.length, 'file')}.`)
  output.warn('Nothing was submitted.')
  if (goodCount > 0) output.warn(`To run the other ${formatNumber(goodCount, 'file')}: add --skip-invalid`)
}

type Submitted = { batches: WireBatch[]; remaining: string[]; codes: number[] }

async function submitAll(files: readonly Checked[], setting: Setting): Promise<number> {
  const { context, settings } = setting
  const { output } = context
  const client = await context.client()
  const submitted = await submitEach(files, { ...setting, client })
  if (!settings.isWatched && output.format === 'table' && submitted.batches.length > 0)
    output.rows(submitted.batches, batchView(output))
  if (submitted.remaining.length > 0) tellRemaining(submitted, setting)
  const ids = submitted.batches.map(({ id }) => id)
  if (context.signal.aborted) {
    if (ids.length > 0)
      output.warn(`What was submitted keeps running: ${pasteable(['batches', 'watch', ...ids])}`)
    return exitCode('interrupted')
  }
  if (ids.length === 0) return firstThatApplies(submitted.codes)
  if (settings.isWatched)
    return firstThatApplies([
      ...submitted.codes,
      await follow(ids, { context, client, allowance: settings.allowance, created: submitted.batches }),
    ])
  output.say(`Watch: ${pasteable(['batches', 'watch', ...ids])}`)
  return firstThatApplies(submitted.codes)
}

async function submitEach(
  files: readonly Checked[],
  setting: Setting & { client: Client },
): Promise<Submitted> {
  const { context } = setting
  const invocation = randomUUID()
  const submitted: Submitted = { batches: [], remaining: [], codes: [] }
  const failed: { name: string; code: string; message: string }[] = []
  let unreachable = 0
  for (const [number, checked] of files.entries()) {
    try {
      const batch = await submitOne(checked, { ...setting, idempotencyKey: `${invocation}-${number}` })
      unreachable = 0
      noteCreated(batch, checked, { ...setting, submitted })
    } catch (thrown) {
      const facts = errorFacts(thrown)
      const isUnknown = facts.code === 'outcome_unknown'
      // A batch that may exist is not offered to be made once more.
      if (!isUnknown) submitted.remaining.push(checked.path)
      const { code, message } = facts
      const isNew = !failed.some((one) => one.code === code && one.message === message)
      failed.push({ name: checked.path, code, message })
      if (isNew && (!context.signal.aborted || isUnknown)) tellFailed(checked.path, facts, context)
      submitted.codes.push(facts.exitCode)
      unreachable = facts.exitCode === exitCode('unreachable') ? unreachable + 1 : 0
      if (!context.signal.aborted && !isForAll(thrown) && unreachable < UNREACHABLE_IN_A_ROW_MAX) continue
      submitted.remaining.push(...files.slice(number + 1).map(({ path }) => path))
      break
    }
  }
  const isRepeated = new Set(failed.map(({ code, message }) => `${code}\n${message}`)).size < failed.length
  if (isRepeated) for (const line of groupedTroubles(failed)) context.output.warn(line)
  return submitted
}

/** Guess: each of them was tried for some seconds; a folder of hundreds should not take an hour to say that the server is gone. */
const UNREACHABLE_IN_A_ROW_MAX = 3

function noteCreated(
  batch: WireBatch,
  { path, inspected }: Checked,
  { context, settings, submitted }: Setting & { submitted: Submitted },
): void {
  const { output } = context
  const isFirst = submitted.batches.length === 0
  submitted.batches.push(batch)
  output.event(submittedEvent(batch))
  if (!settings.isWatched && output.format !== 'table') output.object(batch, batchView(output))
  output.say(`${batch.id}  ${oneLine(path)}, ${formatNumber(inspected.lines, 'request')}`)
  if (settings.idsPath === null) return
  try {
    if (isFirst) writeFileSync(settings.idsPath, `${batch.id}\n`, { flush: true })
    else appendFileSync(settings.idsPath, `${batch.id}\n`, { flush: true })
  } catch (thrown) {
    // The batch runs all the same: its id must not get lost with the file.
    output.warn(`${batch.id} could not be written to ${settings.idsPath}: ${messageOf(thrown)}`)
    submitted.codes.push(exitCode('unexpected'))
  }
}

function tellFailed(path: string, facts: ErrorFacts, { output }: CommandContext): void {
  const hint = facts.hint === null ? '' : `\n  ${facts.hint}`
  const request = facts.requestId === null ? '' : `\n  request id ${facts.requestId}`
  output.warn(`${path}: error[${facts.code}]: ${facts.message}${hint}${request}`)
}

/** A refusal that every further file would meet too. */
function isForAll(thrown: unknown): boolean {
  if (!(thrown instanceof ApiError)) return false
  return thrown.status === 401 || thrown.status === 403 || thrown.param === 'completion_window'
}

async function submitOne(
  checked: Checked,
  setting: Setting & { client: Client; idempotencyKey: string },
): Promise<WireBatch> {
  const { context, settings, client, idempotencyKey } = setting
  const { model, window, metadata } = settings
  const progress = createByteProgress(context.output, {
    label: `sending ${checked.path}`,
    total: checked.inspected.bytes,
  })
  try {
    const { signal } = context
    return await submit({
      ...{ client, checked, model, window, metadata, idempotencyKey, signal },
      onProgress: progress.update,
      onUploaded: ({ id, filename }) =>
        noteUpload(context.env, context.serverUrl(), { id, name: filename, uploadedAt: Date.now() }),
    })
  } finally {
    progress.end()
  }
}

function tellRemaining({ remaining }: Submitted, { context, settings }: Setting): void {
  const { model, window, metadata, isWatched, idsPath } = settings
  const words = [
    ...['batches', 'run', ...remaining],
    ...(model === null ? [] : ['--model', model]),
    ...['--completion-window', window],
    ...Object.entries(metadata ?? {}).flatMap(([key, value]) => ['--metadata', `${key}=${value}`]),
    ...(isWatched ? ['--watch'] : []),
  ]
  const { output } = context
  output.warn(
    `${formatNumber(remaining.length, 'file')} not submitted. To submit ${remaining.length === 1 ? 'it' : 'them'}:`,
  )
  output.warn(`  ${pasteable(words)}`)
  // With --output-id the command would write over the ids of what was submitted.
  if (idsPath !== null) output.warn(`  (add --output-id with another file than ${idsPath})`)
}

function requireWritable(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
    closeSync(openSync(path, 'a'))
  } catch (thrown) {
    throw usageError(`--output-id ${path} cannot be written: ${messageOf(thrown)}`)
  }
}
