/** Finds the server and the key for a command, once, and only when the command asks for them. */
import { type Client, createClient } from '../client/client.ts'
import { CliError } from './cli-error.ts'
import type { CommandContext } from './command.ts'
import { baseUrlOf, overrideWords, readSetup, type Setup } from './layers.ts'
import { ownerTokenFor } from './owner-token.ts'
import type { Speech } from './speech.ts'
import type { Target } from './target.ts'
import type { Voice } from './voice.ts'

export type GlobalOptions = {
  server: string | null
  profile: string | null
  speech: Pick<Speech, 'isVerbose' | 'isInteractive' | 'isJsonAsked'>
  voice: Pick<Voice, 'output' | 'log'>
}

export function createContext(global: GlobalOptions, signal: AbortSignal): CommandContext {
  const { env } = process
  const { speech } = global
  const { output, log } = global.voice
  const onRetry = ({ delayMs, reason }: { delayMs: number; reason: string }): void => {
    const words = `${reason}; trying again in ${(delayMs / 1000).toFixed(1)} s`
    log.write('warn', words)
    if (speech.isVerbose && !log.isOnScreen('warn')) output.warn(words)
  }
  let known: Setup | null = null
  const setup = (): Setup => {
    known ??= readSetup({ server: global.server, profile: global.profile, env, folder: process.cwd() })
    return known
  }
  const clientWith = (key: string | null): Client => {
    const target = requireTarget(setup())
    return createClient({
      baseUrl: baseUrlOf(target),
      isBaseUrlExact: target.isUrlExact,
      apiKey: key,
      userAgent: 'dw',
      onRetry,
    })
  }
  let client: Client | null = null
  return {
    output,
    env,
    signal,
    ...{ isInteractive: speech.isInteractive, isVerbose: speech.isVerbose, isJsonAsked: speech.isJsonAsked },
    setup,
    serverUrl: () => baseUrlOf(requireTarget(setup())),
    async client() {
      if (client === null) {
        const words = overrideWords(setup())
        if (words !== null) output.say(words)
        else if (speech.isVerbose) output.warn(usedWords(setup()))
      }
      client ??= clientWith(requireTarget(setup()).key)
      return client
    },
    async admin() {
      // That no server is named is told before that its token is missing.
      requireTarget(setup())
      return clientWith(ownerTokenFor(setup(), env))
    },
  }
}

function usedWords(setup: Setup): string {
  const { url } = requireTarget(setup)
  return `using ${setup.serverOrigin?.where ?? ''}: ${url}`
}

function requireTarget({ target }: Setup): Target {
  if (target !== null) return target
  throw new CliError('no_server', 'No server is named and none was found on this machine.', {
    exit: 'unreachable',
    hint: 'Start one with `dw serve`, or name one with --server URL, DW_SERVER or `dw login URL`.',
  })
}
