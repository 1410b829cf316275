import { readFileSync } from 'node:fs'
import { messageOf } from '../../lib/errors.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { argument, integerOption, textOption } from './input.ts'
import { upstreamView } from './views.ts'

const CONCURRENCY_MAX = 65_535

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const name = textOption(input, 'name')
  const key = readKey(context, input)
  const concurrency = integerOption(input, 'concurrency', { min: 1, max: CONCURRENCY_MAX })
  const admin = await context.admin()
  const upstream = await admin.admin.upstreams.add({
    url: argument(input, 0),
    ...(name === null ? {} : { name }),
    ...(key === null ? {} : { key }),
    ...(concurrency === null ? {} : { concurrency }),
  })
  output.object(upstream, upstreamView)
  if (upstream.reason !== null) {
    output.warn(`Added, but it does not answer as it should: ${upstream.reason}.`)
    output.warn(
      `  ${adviceFor(upstream.reason)} It is asked again by itself; to ask now: dw upstream test ${upstream.name}`,
    )
    return exitCode('unreachable')
  }
  const [model] = upstream.models
  output.say(
    model === undefined
      ? 'It lists no models yet.'
      : `next: dw batches run requests.jsonl --model ${model} --watch`,
  )
  return 0
}

/** The key is read here, in the caller's environment, and sent once: the server is never told a name of a variable or file. */
function readKey(context: CommandContext, input: CommandInput): string | null {
  const variable = textOption(input, 'keyEnv')
  const file = textOption(input, 'keyFile')
  if (variable !== null && file !== null) throw usageError('--key-env and --key-file exclude each other.')
  if (variable !== null) {
    const key = context.env[variable]
    if (key === undefined || key === '')
      throw usageError(
        `The variable ${variable} is not set here.`,
        `Set it, for example: export ${variable}=…`,
      )
    return key
  }
  if (file === null) return null
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (thrown) {
    throw new CliError('no_such_file', `${file}: ${messageOf(thrown)}`, { exit: 'usage' })
  }
}

function adviceFor(reason: string): string {
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|TIMEOUT/i.test(reason))
    return 'Is the engine running, and is this its port?'
  if (/ENOTFOUND|EAI_AGAIN/.test(reason)) return 'Is the host name right?'
  if (/^40[13] /.test(reason))
    return 'Does it need a key? Remove it and add it again with --key-env VARIABLE.'
  if (/HTML/.test(reason))
    return 'This looks like a web page: does the URL need /v1 at its end, or another port?'
  if (/^404 /.test(reason)) return 'Does the URL end in the version the API has, such as /v1?'
  return 'Is this the base URL of an OpenAI-compatible API?'
}
