/** Finds the server and the key for a command, once, and only when the command asks for them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, createClient, normaliseBaseUrl } from '../client/client.ts'
import { CliError } from './cli-error.ts'
import type { CommandContext } from './command.ts'
import { createOutput, type Format } from './output.ts'
import { chooseTarget, isSameHost, type Target } from './target.ts'
import { foundServers, readProfiles } from './user-files.ts'

export type GlobalOptions = {
  server: string | null
  format: Format
  isQuiet: boolean
  isVerbose: boolean
  profile: string | null
}

export function createContext(global: GlobalOptions, signal: AbortSignal): CommandContext {
  const { env } = process
  const output = createOutput({ format: global.format, isQuiet: global.isQuiet })
  const onRetry = ({ delayMs, reason }: { delayMs: number; reason: string }): void => {
    if (global.isVerbose) output.warn(`${reason}; trying again in ${(delayMs / 1000).toFixed(1)} s`)
  }
  let target: Target | null = null
  const requireTarget = (): Target => {
    target ??= findTarget(global, env)
    return target
  }
  let client: Client | null = null
  return {
    output,
    env,
    signal,
    isInteractive: process.stdin.isTTY === true && process.stderr.isTTY === true && env.CI === undefined,
    isVerbose: global.isVerbose,
    serverUrl: () => normaliseBaseUrl(requireTarget().url),
    async client() {
      const { url, key, origin } = requireTarget()
      if (client === null && (origin === 'OPENAI_BASE_URL' || origin === 'DW_SERVER') && global.isVerbose)
        output.warn(`using ${origin}: ${url}`)
      client ??= createClient({ baseUrl: url, apiKey: key, userAgent: 'dw', onRetry })
      return client
    },
    async admin() {
      const { url } = requireTarget()
      return createClient({ baseUrl: url, apiKey: ownerTokenFor(url, env), userAgent: 'dw', onRetry })
    },
  }
}

function findTarget(global: GlobalOptions, env: NodeJS.ProcessEnv): Target {
  const { active, profiles } = readProfiles(env)
  const name = global.profile ?? active
  const profile = name === null ? null : (profiles[name] ?? null)
  if (global.profile !== null && profile === null) {
    throw new CliError('unknown_profile', `There is no profile '${global.profile}'.`, {
      exit: 'usage',
      hint: `Known: ${Object.keys(profiles).join(', ') || 'none'}.`,
    })
  }
  const target = chooseTarget({
    serverFlag: global.server,
    env,
    profile,
    localUrl: foundServers(env)[0]?.url ?? null,
  })
  if (target === null) {
    throw new CliError('no_server', 'No server is named and none was found on this machine.', {
      exit: 'unreachable',
      hint: 'Start one with `dw serve`, or name one with --server URL, DW_SERVER or `dw login URL`.',
    })
  }
  if (!URL.canParse(target.url)) {
    throw new CliError('bad_url', `'${target.url}' (from ${target.origin}) is no URL.`, {
      exit: 'usage',
      hint: 'It needs the form http://host:port.',
    })
  }
  return target
}

/** The owner's token of a server on this machine stands in its data folder, readable by its owner alone. */
function ownerTokenFor(url: string, env: NodeJS.ProcessEnv): string {
  const given = env.DW_OWNER_TOKEN
  if (given !== undefined && given !== '') return given
  const server = foundServers(env).find((candidate) => isSameHost(candidate.url, url))
  if (server === undefined) {
    throw new CliError(
      'no_owner_token',
      `This needs the owner token of ${url}, which is no server found on this machine.`,
      {
        exit: 'notAllowed',
        hint: 'Run the command on the machine of the server, or set DW_OWNER_TOKEN to the text of the file owner-token in its data folder.',
      },
    )
  }
  try {
    return readFileSync(join(server.dataDir, 'owner-token'), 'utf8').trim()
  } catch {
    throw new CliError(
      'no_owner_token',
      `The owner token in ${server.dataDir} cannot be read by this user.`,
      { exit: 'notAllowed', hint: 'Run the command as the user that runs the server.' },
    )
  }
}
