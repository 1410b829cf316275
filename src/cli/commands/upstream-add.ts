/** Puts an engine behind the server: by the name of a preset or by its address, tested by the server before it is kept. */
import { readFileSync } from 'node:fs'
import { ApiError } from '../../client/client.ts'
import type { WireUpstream } from '../../contract/wire.ts'
import { type UpstreamPreset, upstreamPresets } from '../../domain/upstream-presets.ts'
import { messageOf } from '../../lib/errors.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { knownError } from '../error-codes.ts'
import { exitCode } from '../exit-codes.ts'
import { nearest } from '../suggest.ts'
import { argument, integerOption, textOption } from './input.ts'
import { upstreamView } from './views.ts'

const CONCURRENCY_MAX = 65_535
/** Status with which the server tells that an engine is not fit to be added. */
const TEST_FAILED = 422

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const named = resolveTarget(argument(input, 0))
  const key = readKey(context, input, named.preset)
  const concurrency =
    integerOption(input, 'concurrency', { min: 1, max: CONCURRENCY_MAX }) ?? named.preset?.concurrency ?? null
  const models = modelsOf(input)
  const isTested = input.options.test !== false
  if (!isTested && models !== null) throw usageError('--models names what is tested: it excludes --no-test.')
  const upstream = await addUpstream(context, {
    url: named.url,
    name: textOption(input, 'name') ?? named.preset?.name ?? null,
    key: key?.text ?? null,
    concurrency,
    models,
    isTested,
  })
  output.object(upstream, upstreamView)
  if (key?.variable !== undefined) output.say(`It is asked with the key in ${key.variable}.`)
  if (!isTested) {
    if (upstream.reason !== null)
      output.warn(`Added without a test; it does not answer yet: ${upstream.reason}.`)
    return exitCode('ok')
  }
  const [model = ''] = models ?? upstream.models
  output.say(`next: dw batches run requests.jsonl --model ${model} --watch`)
  return exitCode('ok')
}

export type NewEngine = {
  url: string
  name: string | null
  key: string | null
  concurrency: number | null
  models: readonly string[] | null
  isTested: boolean
}

/** @throws CliError that says what is wrong with the engine, and what to do */
export async function addUpstream(context: CommandContext, engine: NewEngine): Promise<WireUpstream> {
  const { url, name, key, concurrency, models, isTested } = engine
  if (isTested) context.output.say(`asking ${url} for its models, and one of them for one token …`)
  const { admin } = await context.admin()
  try {
    return await admin.upstreams.add({
      url,
      ...(name === null ? {} : { name }),
      ...(key === null ? {} : { key }),
      ...(concurrency === null ? {} : { concurrency }),
      ...(models === null ? {} : { models }),
      test: isTested,
    })
  } catch (thrown) {
    throw explained(thrown, engine) ?? thrown
  }
}

/** What a failed test says beyond the server's words; null for what is no failed test. */
function explained(thrown: unknown, { key }: NewEngine): CliError | null {
  if (!(thrown instanceof ApiError) || thrown.status !== TEST_FAILED || thrown.code === null) return null
  const { exit, fix } = knownError(thrown.code, thrown.status)
  const hints: Readonly<Record<string, string>> = {
    upstream_unreachable:
      'Is the engine running, and is this its port? `dw upstream scan` looks at the usual ports.',
    ...(key === null ? {} : { upstream_unauthorized: 'Is it the key of this service, and still valid?' }),
  }
  const hint = hints[thrown.code] ?? fix
  return new CliError(thrown.code, `${thrown.message} Nothing was added.`, { exit, hint })
}

function resolveTarget(text: string): { url: string; preset: UpstreamPreset | null } {
  const preset = upstreamPresets.find(({ name }) => name === text.toLowerCase())
  if (preset !== undefined) return { url: preset.url, preset }
  if (/^https?:\/\//i.test(text)) return { url: text, preset: null }
  // A host with a port or a dot is an address whose scheme was left out; on this machine nobody speaks TLS.
  const host = /^(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?(?=\/|$)/i.exec(text)
  if (host !== null && (host[2] !== undefined || text.includes('.') || host[1] === 'localhost')) {
    const isPrivate = /^(localhost$|127\.|10\.|192\.168\.|\[)/.test(host[1] ?? '')
    return { url: `${isPrivate ? 'http' : 'https'}://${text}`, preset: null }
  }
  const names = upstreamPresets.map(({ name }) => name)
  const near = nearest(text, names)
  throw usageError(
    `'${text}' is neither an address nor a preset.`,
    near === null
      ? `Presets: ${names.join(', ')}. An address looks like http://localhost:8000/v1.`
      : `Did you mean: ${near}`,
  )
}

function modelsOf(input: CommandInput): readonly string[] | null {
  const text = textOption(input, 'models')
  if (text === null) return null
  const models = text.split(',').map((name) => name.trim())
  if (models.includes('')) throw usageError(`--models takes names with commas between them, not '${text}'.`)
  return models
}

type FoundKey = { text: string; variable?: string }

/** The key is read here, in the caller's environment, and sent once: the server is never told a name of a variable or file. */
function readKey(
  context: CommandContext,
  input: CommandInput,
  preset: UpstreamPreset | null,
): FoundKey | null {
  const variable = textOption(input, 'keyEnv')
  const file = textOption(input, 'keyFile')
  if (variable !== null && file !== null) throw usageError('--key-env and --key-file exclude each other.')
  if (variable !== null) {
    const text = context.env[variable] ?? ''
    if (text === '') throw unset(variable)
    return { text }
  }
  if (file !== null) return { text: readKeyFile(file) }
  if (preset?.keyVariable === null || preset?.keyVariable === undefined) return null
  const text = context.env[preset.keyVariable] ?? ''
  if (text !== '') return { text, variable: preset.keyVariable }
  if (!preset.isKeyNeeded) return null
  throw unset(preset.keyVariable)
}

function unset(variable: string): CliError {
  return usageError(
    `The variable ${variable} is not set here.`,
    `Set it, for example: export ${variable}=…, or name another with --key-env.`,
  )
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (thrown) {
    throw new CliError('no_such_file', `${path}: ${messageOf(thrown)}`, { exit: 'usage' })
  }
}
