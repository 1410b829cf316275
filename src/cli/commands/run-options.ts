/** What `dw run` is asked to do. */
import { SAMPLE_LINES_MAX } from '../../domain/limits.ts'
import { picosOf } from '../../domain/price.ts'
import { usageError } from '../cli-error.ts'
import type { CommandInput } from '../command.ts'
import { type ServiceLimits, usualLimits } from '../run/service-limits.ts'
import type { Allowance } from '../summary-outcome.ts'
import { allowanceOption, metadataOption, windowOption } from './batches-options.ts'
import { sizeOf } from './files-split.ts'
import { argument, flagOption, integerOption, textOption } from './input.ts'
import { STANDARD } from './tool-files.ts'

export type RunSettings = {
  /** A file, a folder, or `-`. */
  path: string
  /** Null: standard output. */
  outputPath: string | null
  model: string | null
  window: string
  metadata: Record<string, string> | null
  allowance: Allowance | null
  isDetached: boolean
  isNew: boolean
  isDryRun: boolean
  sample: { count: number; seed: number } | null
  /** Null: no bound. */
  costPicosMax: bigint | null
  cancelsOnInterrupt: boolean
  includeErrors: boolean
  /** Named by options; null where the service's own are taken. */
  linesMax: number | null
  bytesMax: number | null
}

const SEED_MAX = 2 ** 32 - 1
/** The same command draws the same lines, and so finds its run again. */
const SEED_ELSE = 1

/** @throws CliError usage */
export function runSettings(input: CommandInput, env: NodeJS.ProcessEnv): RunSettings {
  const model = textOption(input, 'model')
  if (model?.trim() === '') throw usageError('--model needs the name of a model.')
  const path = argument(input, 0)
  if (path === '') throw usageError('Name a .jsonl file, a folder of them, or - for standard input.')
  const outputPath = textOption(input, 'outputFile')
  const bytesMax = textOption(input, 'maxBytes')
  return {
    path,
    outputPath: outputPath === STANDARD ? null : outputPath,
    model,
    window: windowOption(input),
    metadata: metadataOption(input),
    allowance: allowanceOption(input, env),
    isDetached: flagOption(input, 'detach'),
    isNew: flagOption(input, 'new'),
    isDryRun: flagOption(input, 'dryRun'),
    sample: sampleOption(input),
    costPicosMax: costOption(input),
    cancelsOnInterrupt: textOption(input, 'onInterrupt') === 'cancel',
    includeErrors: flagOption(input, 'includeErrors'),
    linesMax: integerOption(input, 'maxLines', { min: 1, max: Number.MAX_SAFE_INTEGER }),
    bytesMax: bytesMax === null ? null : sizeOf(bytesMax, '--max-bytes'),
  }
}

function sampleOption(input: CommandInput): RunSettings['sample'] {
  const count = integerOption(input, 'sample', { min: 1, max: SAMPLE_LINES_MAX })
  const seed = integerOption(input, 'seed', { min: 0, max: SEED_MAX })
  if (count !== null) return { count, seed: seed ?? SEED_ELSE }
  if (seed !== null) throw usageError('--seed belongs to --sample N.')
  return null
}

function costOption(input: CommandInput): bigint | null {
  const text = textOption(input, 'maxCost')
  if (text === null) return null
  const picos = picosOf(text)
  if (picos === null)
    throw usageError(
      `--max-cost takes an amount in the currency of the server, such as 12.50, not '${text}'.`,
    )
  return picos
}

/** Limits that are named replace those that the service is known for. */
export function limitsFor(
  { linesMax, bytesMax }: Pick<RunSettings, 'linesMax' | 'bytesMax'>,
  serverUrl: string,
): ServiceLimits {
  const usual = usualLimits(serverUrl)
  return { ...usual, linesMax: linesMax ?? usual.linesMax, bytesMax: bytesMax ?? usual.bytesMax }
}
