/** Takes the input of a run: found, put into files that can be read again, checked, drawn from. Nothing here talks to a server. */

import { once } from 'node:events'
import { createWriteStream, rmSync, statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import type { ModelShare } from '../../domain/file.ts'
import { temporaryPath } from '../../jsonl/tools/desk.ts'
import { findCollisions } from '../../jsonl/tools/merge.ts'
import type { CommandContext } from '../command.ts'
import { formatNumber } from '../format.ts'
import { createByteProgress } from '../progress-bytes.ts'
import { hashOf, openSource, type Source } from '../run/source.ts'
import { type Checked, checkInput } from './batches-files.ts'
import { draw } from './files-sample.ts'
import type { RunSettings } from './run-options.ts'
import { pathsBeside } from './run-results.ts'
import {
  inputLines,
  refuseInput,
  STANDARD,
  type ToolInput,
  tellFindings,
  toolDesk,
  toolInputs,
  withReadable,
} from './tool-files.ts'

export type RunInput = {
  source: Source
  /** SHA-256, hex. */
  contentHash: string
  endpoint: string
  lines: number
  models: readonly ModelShare[]
}

/**
 * Calls `use` with input that is fit to be sent.
 * @returns null when it is not, which was told
 */
export async function withRunInput<T>(
  context: CommandContext,
  settings: RunSettings,
  use: (input: RunInput) => Promise<T>,
): Promise<T | null> {
  const given = toolInputs(context, [settings.path])
  const { outputPath, includeErrors } = settings
  for (const path of [outputPath, ...Object.values(pathsBeside(outputPath, includeErrors))])
    if (path !== null) refuseInput(path, given)
  return withReadable(context, given, async (inputs) => {
    const checked = await checkAll(context, inputs, settings)
    if (checked === null) return null
    const name = nameOf(settings.path)
    if (settings.sample === null) return use(await inputOf(context, openSource(name, inputs), checked))
    const drawnPath = temporaryPath(toolDesk)
    try {
      await drawSample(context, { inputs, sample: settings.sample, path: drawnPath })
      const drawn = { path: drawnPath, name: `${formatNumber(settings.sample.count, 'line')} of ${name}` }
      const again = await checkAll(context, [drawn], settings)
      return again === null ? null : await use(await inputOf(context, openSource(name, [drawn]), again))
    } finally {
      rmSync(drawnPath, { force: true })
    }
  })
}

/** What the upload is called: some services take only names that end so. */
function nameOf(path: string): string {
  const stem = path === STANDARD ? 'stdin' : basename(resolve(path)).replace(/\.jsonl$/, '')
  return `${stem === '' ? 'requests' : stem}.jsonl`
}

async function inputOf(
  context: CommandContext,
  source: Source,
  checked: readonly Checked[],
): Promise<RunInput> {
  const progress = createByteProgress(context.output, {
    label: `reading ${source.name}`,
    total: source.bytes,
  })
  try {
    const contentHash = await hashOf(source, { signal: context.signal, onProgress: progress.update })
    const inspected = checked.map((one) => one.inspected)
    return {
      source,
      contentHash,
      endpoint: inspected[0]?.endpoints[0] ?? '',
      lines: inspected.reduce((sum, { lines }) => sum + lines, 0),
      models: sumOfModels(inspected.flatMap(({ models }) => models)),
    }
  } finally {
    progress.end()
  }
}

function sumOfModels(shares: readonly ModelShare[]): ModelShare[] {
  const sums = new Map<string, ModelShare>()
  for (const share of shares) {
    const sum = sums.get(share.model)
    sums.set(share.model, sum === undefined ? share : added(sum, share))
  }
  return [...sums.values()]
}

function added(a: ModelShare, b: ModelShare): ModelShare {
  return {
    model: a.model,
    lines: a.lines + b.lines,
    bodyBytes: a.bodyBytes + b.bodyBytes,
    promptBytes: a.promptBytes + b.promptBytes,
    outputTokensLimit: a.outputTokensLimit + b.outputTokensLimit,
    outputTokensLimitLines: a.outputTokensLimitLines + b.outputTokensLimitLines,
  }
}

/** @returns null when something is wrong with them, which was told */
async function checkAll(
  context: CommandContext,
  inputs: readonly ToolInput[],
  { model, isDryRun, costPicosMax }: RunSettings,
): Promise<Checked[] | null> {
  const { output, signal } = context
  const countsTokens = isDryRun || costPicosMax !== null
  const checked: Checked[] = []
  for (const { path, name } of inputs) {
    const progress = createByteProgress(output, { label: `checking ${name}`, total: statSync(path).size })
    try {
      checked.push(await checkInput(path, { model, countsTokens, signal, onProgress: progress.update }))
    } finally {
      progress.end()
    }
  }
  let total = 0
  for (const [place, { inspected }] of checked.entries()) {
    total += inspected.findingsTotal
    tellFindings(output, {
      name: inputs[place]?.name ?? '',
      findings: inspected.findings,
      total: inspected.findingsTotal,
    })
  }
  if (total === 0 && inputs.length > 1) total = await tellMeetings(context, inputs, checked)
  if (total === 0) return checked
  output.warn('Nothing was submitted.')
  return null
}

/** What is wrong only because the files are one run. @returns the number of findings */
async function tellMeetings(
  context: CommandContext,
  inputs: readonly ToolInput[],
  checked: readonly Checked[],
): Promise<number> {
  const endpoints = checked.map(({ inspected }) => inspected.endpoints[0] ?? '')
  const other = endpoints.findIndex((endpoint) => endpoint !== endpoints[0])
  if (other !== -1) {
    context.output.warn(
      `mixed_endpoints: ${inputs[other]?.name} is for ${endpoints[other]}, ${inputs[0]?.name} for ${endpoints[0]}; a run has one endpoint.`,
    )
    return 1
  }
  const found = await findCollisions(
    inputs.map(({ path, name }) => ({ name, prefix: '', read: () => inputLines(context, path) })),
    toolDesk,
  )
  for (const [place, findings] of found.entries())
    tellFindings(context.output, {
      name: inputs[place]?.name ?? '',
      findings: findings.kept(),
      total: findings.total,
    })
  const total = found.reduce((sum, findings) => sum + findings.total, 0)
  if (total > 0) context.output.warn('To give every file ids of its own: dw files merge --prefix-ids')
  return total
}

async function drawSample(
  context: CommandContext,
  options: { inputs: readonly ToolInput[]; sample: NonNullable<RunSettings['sample']>; path: string },
): Promise<void> {
  const { inputs, sample, path } = options
  const file = createWriteStream(path, { mode: 0o600, flags: 'wx' })
  const write = async (bytes: Uint8Array): Promise<void> => {
    if (!file.write(bytes)) await once(file, 'drain')
  }
  try {
    const { result } = await draw(context, inputs, { ...sample, write })
    if (result.offered < sample.count)
      context.output.say(`There are only ${formatNumber(result.offered, 'request')}; all of them are taken.`)
  } finally {
    file.end()
    await finished(file)
  }
}
