/** `--upstream` and what goes with it, as data and as read. Which server it starts is in `embedded-server.ts`. */
import { normaliseBaseUrl } from '../../client/client.ts'
import { usageError } from '../cli-error.ts'
import type { CommandInput, Option } from '../command.ts'
import { targetWords } from '../pasteable.ts'
import { integerOption, textOption } from './input.ts'

export type UpstreamChoice = {
  /** Normalised, ends in a version: names the upstream, however it was written. */
  url: string
  /** As it was written, where that may be a base URL without a version; null where it needs one. */
  exactUrl: string | null
  key: string | null
  concurrency: number | null
}

export const upstreamOptions: readonly Option[] = [
  {
    flags: '--upstream <url>',
    help: 'Run it on this engine without any server: one is started for the command, in a folder of its own',
  },
  {
    flags: '--upstream-key-env <variable>',
    help: 'Of --upstream: the variable that holds the key of the engine',
  },
  { flags: '--concurrency <n>', help: 'Of --upstream: requests of a model in flight at once (default: 64)' },
]

const CONCURRENCY_MAX = 65_535

/** @returns null without `--upstream` @throws CliError usage */
export function upstreamOption(input: CommandInput, env: NodeJS.ProcessEnv): UpstreamChoice | null {
  const given = textOption(input, 'upstream')
  const variable = textOption(input, 'upstreamKeyEnv')
  const concurrency = integerOption(input, 'concurrency', { min: 1, max: CONCURRENCY_MAX })
  if (given === null) {
    if (variable === null && concurrency === null) return null
    throw usageError('--upstream-key-env and --concurrency belong to --upstream URL.')
  }
  if (targetWords(process.argv.slice(2)).length > 0)
    throw usageError('--upstream starts a server for this command: leave --server and --account out.')
  const url = URL.parse(given)
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '')
    throw usageError(
      `--upstream '${given}' is no address of an engine.`,
      'It needs the form http://host:port or http://host:port/v1.',
    )
  if (url.username !== '' || url.password !== '')
    throw usageError(
      '--upstream takes no key in its URL.',
      'Put it in a variable: --upstream-key-env VARIABLE',
    )
  const key = variable === null ? null : (env[variable] ?? '')
  if (key === '')
    throw usageError(`The variable ${variable} is not set here.`, `Set it, for example: export ${variable}=…`)
  const exactUrl = url.href.replace(/\/+$/, '')
  const normalised = normaliseBaseUrl(exactUrl)
  const mayBeExact = url.pathname !== '/' && exactUrl !== normalised
  return { url: normalised, exactUrl: mayBeExact ? exactUrl : null, key, concurrency }
}
