/** Which server a command talks to, and with which key. Pure: a key goes only to the host it belongs to. */

export type Profile = { url: string; key: string | null }

export type TargetFacts = {
  /** `--server`. */
  serverFlag: string | null
  env: {
    DW_SERVER?: string | undefined
    DW_API_KEY?: string | undefined
    OPENAI_BASE_URL?: string | undefined
    OPENAI_API_KEY?: string | undefined
  }
  profile: Profile | null
  /** A server found on this machine, asked for only when nothing else names one. */
  localUrl: string | null
}

export type Target = {
  url: string
  key: string | null
  /** What named it, for the one line that says so. */
  origin: '--server' | 'DW_SERVER' | 'OPENAI_BASE_URL' | 'profile' | 'local server' | 'OPENAI_API_KEY'
}

const OPENAI_URL = 'https://api.openai.com/v1'

/** @returns null when nothing names a server */
export function chooseTarget({ serverFlag, env, profile, localUrl }: TargetFacts): Target | null {
  const ownKey = filled(env.DW_API_KEY)
  const openaiUrl = filled(env.OPENAI_BASE_URL)
  const openaiKey = filled(env.OPENAI_API_KEY)
  /** The stored or paired key of that very host, if there is one. */
  const keyOfHost = (url: string): string | null => {
    if (profile !== null && isSameHost(profile.url, url)) return profile.key
    if (openaiKey !== null && openaiUrl !== null && isSameHost(openaiUrl, url)) return openaiKey
    return openaiKey !== null && openaiUrl === null && isSameHost(OPENAI_URL, url) ? openaiKey : null
  }
  const dwServer = filled(env.DW_SERVER)
  // The variable's key goes to the server that was named beside it; a flag names another one only if the hosts differ.
  if (serverFlag !== null)
    return {
      url: serverFlag,
      key: ownKey !== null && isOwnKeyFor(serverFlag, { dwServer, profile }) ? ownKey : keyOfHost(serverFlag),
      origin: '--server',
    }
  if (dwServer !== null) return { url: dwServer, key: ownKey ?? keyOfHost(dwServer), origin: 'DW_SERVER' }
  if (openaiUrl !== null && openaiKey !== null)
    return { url: openaiUrl, key: openaiKey, origin: 'OPENAI_BASE_URL' }
  if (profile !== null) return { url: profile.url, key: ownKey ?? profile.key, origin: 'profile' }
  if (localUrl !== null) return { url: localUrl, key: null, origin: 'local server' }
  return null
}

/** `DW_API_KEY` goes to --server unless another host is named for it: by DW_SERVER, else by the active profile. */
function isOwnKeyFor(url: string, named: { dwServer: string | null; profile: Profile | null }): boolean {
  const owner = named.dwServer ?? named.profile?.url ?? null
  return owner === null || isSameHost(owner, url)
}

export function isSameHost(a: string, b: string): boolean {
  try {
    return new URL(a).origin === new URL(b).origin
  } catch {
    // What is no URL has no host.
    return false
  }
}

function filled(text: string | undefined): string | null {
  return text === undefined || text.trim() === '' ? null : text.trim()
}
