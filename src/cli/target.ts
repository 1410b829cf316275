/** Which server a command talks to, and with which key. Pure: a key goes only to the host it belongs to. */

/** What a command takes where it is not told otherwise. */
export type Defaults = {
  completionWindow: string | null
  model: string | null
  allowFailures: string | null
}

/** An address, its key and its defaults: used together or not at all. */
export type Profile = Defaults & {
  url: string
  /** The address is used as it is: the server has no version in its paths. */
  isUrlExact: boolean
  key: string | null
}

export type NamedProfile = Profile & { name: string }

/** The first that names a server is taken; what it says of the rest is its own or nothing. */
export type Layer = 'flag' | 'environment' | 'openai' | 'project' | 'profile' | 'local'

export type TargetFacts = {
  /** `--server`. */
  serverFlag: string | null
  /** `--profile`. */
  profileFlag: NamedProfile | null
  env: {
    DW_SERVER?: string | undefined
    DW_API_KEY?: string | undefined
    OPENAI_BASE_URL?: string | undefined
    OPENAI_API_KEY?: string | undefined
  }
  /** `server` of the project file. */
  projectServer: string | null
  profiles: readonly NamedProfile[]
  active: NamedProfile | null
  /** A server found on this machine. */
  localUrl: string | null
}

export type Target = {
  url: string
  isUrlExact: boolean
  key: string | null
  layer: Layer
  /** The profile that is used as a whole. */
  profile: NamedProfile | null
  keyFrom: { variable: 'DW_API_KEY' | 'OPENAI_API_KEY' } | { profile: string } | null
}

export const OPENAI_URL = 'https://api.openai.com/v1'

/** @returns null when nothing names a server */
export function chooseTarget(facts: TargetFacts): Target | null {
  const { serverFlag, profileFlag, projectServer, active, localUrl } = facts
  const env = filledEnv(facts)
  const named = (url: string, layer: Layer): Target => ({
    url,
    isUrlExact: facts.profiles.some((profile) => profile.url === url && profile.isUrlExact),
    layer,
    profile: null,
    ...keyFor(url, layer, facts),
  })
  if (serverFlag !== null) return named(serverFlag, 'flag')
  if (profileFlag !== null) return wholeProfile(profileFlag, 'flag', facts)
  if (env.server !== null) return named(env.server, 'environment')
  if (env.openaiUrl !== null && env.openaiKey !== null) return named(env.openaiUrl, 'openai')
  if (projectServer !== null) return named(projectServer, 'project')
  if (active !== null) return wholeProfile(active, 'profile', facts)
  return localUrl === null ? null : named(localUrl, 'local')
}

type Key = Pick<Target, 'key' | 'keyFrom'>

function wholeProfile(profile: NamedProfile, layer: Layer, facts: TargetFacts): Target {
  const { url, isUrlExact } = profile
  const stored: Key = { key: profile.key, keyFrom: profile.key === null ? null : { profile: profile.name } }
  // Named by a flag it is above the environment, whose key fills a gap only.
  const isStoredFirst = layer === 'flag' && profile.key !== null
  return {
    url,
    isUrlExact,
    layer,
    profile,
    ...(isStoredFirst ? stored : (variableKey(url, layer, facts) ?? stored)),
  }
}

/** The key that was stored or given for that very host. */
function keyFor(url: string, layer: Layer, facts: TargetFacts): Key {
  const fromVariable = variableKey(url, layer, facts)
  if (fromVariable !== null) return fromVariable
  const profile = profileOfHost(url, facts)
  if (profile === null || profile.key === null) return { key: null, keyFrom: null }
  return { key: profile.key, keyFrom: { profile: profile.name } }
}

function variableKey(url: string, layer: Layer, facts: TargetFacts): Key | null {
  const env = filledEnv(facts)
  const ofOpenAi: Key = { key: env.openaiKey, keyFrom: { variable: 'OPENAI_API_KEY' } }
  // A pair stays one.
  if (layer === 'openai') return ofOpenAi
  if (env.key !== null && isOwnSecretFor(url, layer, facts))
    return { key: env.key, keyFrom: { variable: 'DW_API_KEY' } }
  const openaiHost = env.openaiUrl ?? OPENAI_URL
  return env.openaiKey !== null && isSameHost(openaiHost, url) ? ofOpenAi : null
}

/**
 * Whether a secret of our own variables (`DW_API_KEY`, `DW_OWNER_TOKEN`) is meant for this address. Its host is that of DW_SERVER, else of
 * the active profile. With neither it goes where the person points, or to the server of this machine, but never where a project file points:
 * that came with somebody's repository.
 */
export function isOwnSecretFor(
  url: string,
  layer: Layer,
  { env, active }: Pick<TargetFacts, 'env' | 'active'>,
): boolean {
  const owner = filled(env.DW_SERVER) ?? active?.url ?? null
  if (owner !== null) return isSameHost(owner, url)
  return layer === 'flag' || layer === 'local'
}

/** The active profile, else the only one of that host: of several, one would be a guess. */
function profileOfHost(url: string, { profiles, active }: TargetFacts): NamedProfile | null {
  if (active !== null && isSameHost(active.url, url)) return active
  const [only, ...others] = profiles.filter((profile) => isSameHost(profile.url, url))
  return only === undefined || others.length > 0 ? null : only
}

export function isSameHost(a: string, b: string): boolean {
  try {
    return new URL(a).origin === new URL(b).origin
  } catch {
    // What is no URL has no host.
    return false
  }
}

function filledEnv({ env }: TargetFacts) {
  return {
    server: filled(env.DW_SERVER),
    key: filled(env.DW_API_KEY),
    openaiUrl: filled(env.OPENAI_BASE_URL),
    openaiKey: filled(env.OPENAI_API_KEY),
  }
}

export function filled(text: string | undefined): string | null {
  return text === undefined || text.trim() === '' ? null : text.trim()
}
