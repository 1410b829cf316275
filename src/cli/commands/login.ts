import { text } from 'node:stream/consumers'
import { CliError, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatNumber } from '../format.ts'
import { type ProbedServer, probeServer } from '../login-probe.ts'
import { configPath, type Profiles, readProfiles, requireProfileName, writeProfiles } from '../profiles.ts'
import { noDefaults } from '../settings.ts'
import { filled, isOwnSecretFor, isSameHost } from '../target.ts'
import { argument, flagOption, textOption } from './input.ts'
import { sayIfCommentsLost } from './profile-view.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output, env, signal } = context
  const given = requireServerUrl(argument(input, 0))
  // Read first: a file that is damaged is not overwritten, and a key is not asked for in vain.
  const known = readProfiles(env)
  const name = requireProfileName(textOption(input, 'name') ?? new URL(given).host)
  requireFreeName(known, name, given)
  const key = await readKey(context, { isFromStdin: flagOption(input, 'keyStdin'), url: given, known })
  const server = await probeServer(given, { key, signal })
  const defaults = Object.hasOwn(known.profiles, name) ? known.profiles[name] : noDefaults
  const profile = { ...noDefaults, ...defaults, url: server.url, isUrlExact: server.isExact, key }
  const saved = writeProfiles(env, { active: name, profiles: { ...known.profiles, [name]: profile } })
  if (server.url !== given) output.say(`It answers at ${server.url}: that address is remembered.`)
  output.say(`Logged in to ${server.url} as profile '${name}' (${configPath(env)}); ${whatIsThere(server)}.`)
  sayIfCommentsLost(context, saved)
  return 0
}

/** @throws CliError for what is no address of a server */
export function requireServerUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : null
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usageError(`'${given}' is no URL.`, 'It needs the form https://host, with or without /v1.')
  if (url.username + url.password + url.search + url.hash !== '')
    throw usageError('The address holds more than a host and a path.', 'Give a key with --key-stdin.')
  return given
}

/** A name that moved to another host would take its key and its defaults along. @throws CliError */
function requireFreeName(known: Profiles, name: string, url: string): void {
  const old = Object.hasOwn(known.profiles, name) ? known.profiles[name] : undefined
  if (old === undefined || isSameHost(old.url, url)) return
  throw usageError(
    `Profile '${name}' is of ${old.url}, another server.`,
    `Choose another --name, or forget it first: dw account remove ${JSON.stringify(name)} --yes`,
  )
}

function whatIsThere({ models, caller }: ProbedServer): string {
  const offered = formatNumber(models, 'model')
  if (caller === null) return `${offered}; the server does not tell whose key it is`
  if (caller.access === 'open') return `${offered}; no key is needed there`
  return `${offered}; the key is of ${caller.access === 'owner' ? 'the owner' : `tenant ${caller.tenant}`}`
}

type KeySource = { isFromStdin: boolean; url: string; known: Profiles }

/** Never from the command line, which every process of the machine can read. */
export async function readKey(context: CommandContext, source: KeySource): Promise<string | null> {
  if (source.isFromStdin) {
    const key = (await text(process.stdin)).trim()
    if (key === '') throw usageError('Standard input held no key.')
    return key
  }
  const given = filled(context.env.DW_API_KEY)
  const active = source.known.active === null ? undefined : source.known.profiles[source.known.active]
  const owner = { env: context.env, active: active === undefined ? null : { name: '', ...active } }
  if (given !== null && isOwnSecretFor(source.url, 'flag', owner)) return given
  if (!context.isInteractive) {
    if (given === null) return null
    throw usageError(
      'DW_API_KEY is of another server than this one, so it is not sent there.',
      `Give this server's key: dw login ${source.url} --key-stdin < key.txt`,
    )
  }
  const { password, isCancel } = await import('@clack/prompts')
  const answer = await password({ message: 'Key (empty for a server without keys)', output: process.stderr })
  if (isCancel(answer)) throw new CliError('interrupted', 'Nothing was stored.', { exit: 'interrupted' })
  return filled(answer)
}
