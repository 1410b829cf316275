/**
 * Where each value comes from. Of flag, DW_* variables, the OPENAI_* pair, the project file, the profile and a server of this machine the
 * first that names a server is taken, with its own key; the other settings go by the same order.
 */
import { readFileSync } from 'node:fs'
import { normaliseBaseUrl } from '../client/client.ts'
import { CliError } from './cli-error.ts'
import { configPath, namedProfiles, type Profiles, readProfiles, requireProfile } from './profiles.ts'
import { type Project, placeOf, readProject } from './project-file.ts'
import { requireSetting, type SettingName, settingNames, settings } from './settings.ts'
import {
  chooseTarget,
  filled,
  isSameHost,
  type Layer,
  type NamedProfile,
  OPENAI_URL,
  type Target,
} from './target.ts'
import { foundServers } from './user-files.ts'

export type Origin = {
  layer: Layer
  /** A flag, a variable, a file with its line, or the folder of a server of this machine. */
  where: string
}

export type SettingValue = { name: SettingName; value: string; origin: Origin }

export type Setup = {
  known: Profiles
  active: NamedProfile | null
  project: Project | null
  target: Target | null
  serverOrigin: Origin | null
  keyOrigin: Origin | null
  /** Those that are set. */
  settings: readonly SettingValue[]
  /** What is set and yet not used, with the reason. */
  notes: readonly string[]
}

export type SetupOptions = {
  server: string | null
  profile: string | null
  env: NodeJS.ProcessEnv
  folder: string
}

/** @throws CliError for a file that cannot be read, an unknown profile, or an address that is none */
export function readSetup({ server, profile, env, folder }: SetupOptions): Setup {
  const known = readProfiles(env)
  const active = known.active === null ? null : requireProfile(known, known.active)
  const project = readProject(folder, env)
  const [local] = foundServers(env)
  const target = chooseTarget({
    serverFlag: server,
    profileFlag: profile === null ? null : requireProfile(known, profile),
    env,
    projectServer: project?.server ?? null,
    profiles: namedProfiles(known),
    active,
    localUrl: local?.url ?? null,
  })
  const facts = { env, project, target, hasProfileFlag: server === null && profile !== null }
  const serverOrigin = target === null ? null : originOfServer(target, { ...facts, dataDir: local?.dataDir })
  if (target !== null) requireAddress(target.url, serverOrigin?.where ?? '')
  return {
    known,
    active,
    project,
    target,
    serverOrigin,
    keyOrigin: target === null ? null : originOfKey(target, env),
    settings: settingNames.flatMap((name) => settingOf(name, facts) ?? []),
    notes: notesOf({ env, target }),
  }
}

/** The address in the form that calls are made with. */
export function baseUrlOf({ url, isUrlExact }: Pick<Target, 'url' | 'isUrlExact'>): string {
  return isUrlExact ? url.replace(/\/+$/, '') : normaliseBaseUrl(url)
}

/** The line that says that a saved profile is not what is used; null where it is, or where there is none. */
export function overrideWords({ target, active, serverOrigin }: Setup): string | null {
  if (target === null || active === null || serverOrigin === null) return null
  const isSilent = target.layer === 'flag' || target.layer === 'profile' || isSameHost(target.url, active.url)
  return isSilent ? null : `using ${serverOrigin.where} (${target.url}), overrides profile '${active.name}'`
}

function requireAddress(url: string, where: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.username + parsed.password === '') return
  const what =
    parsed === null || !/^https?:$/.test(parsed.protocol)
      ? `'${url}' is no URL`
      : 'it holds a name or a password'
  throw new CliError('bad_url', `The address from ${where} cannot be used: ${what}.`, {
    exit: 'usage',
    hint: 'It needs the form http://host:port, without a key in it.',
  })
}

type Facts = {
  env: NodeJS.ProcessEnv
  project: Project | null
  target: Target | null
  hasProfileFlag: boolean
}

function originOfServer(target: Target, facts: Facts & { dataDir: string | undefined }): Origin {
  const { layer } = target
  const whereOf: Record<Layer, () => string> = {
    flag: () => (facts.hasProfileFlag ? '--profile' : '--server'),
    environment: () => 'DW_SERVER',
    openai: () => 'OPENAI_BASE_URL',
    project: () => facts.project?.whereOf('server') ?? '',
    profile: () => placeInConfig(facts.env, ['profiles', target.profile?.name ?? '', 'url']),
    local: () => facts.dataDir ?? '',
  }
  return { layer, where: whereOf[layer]() }
}

function originOfKey({ keyFrom }: Target, env: NodeJS.ProcessEnv): Origin | null {
  if (keyFrom === null) return null
  if ('profile' in keyFrom)
    return { layer: 'profile', where: placeInConfig(env, ['profiles', keyFrom.profile, 'key']) }
  const { variable } = keyFrom
  return { layer: variable === 'DW_API_KEY' ? 'environment' : 'openai', where: variable }
}

/** The defaults of a profile go with its server: with another server they would be somebody else's. */
function settingOf(name: SettingName, { env, project, target }: Facts): SettingValue | null {
  const { field, variable } = settings[name]
  const given = filled(env[variable])
  if (given !== null)
    return {
      name,
      value: requireSetting(name, given, variable),
      origin: { layer: 'environment', where: variable },
    }
  const ofProject = project?.[field] ?? null
  if (project !== null && ofProject !== null)
    return { name, value: ofProject, origin: { layer: 'project', where: project.whereOf(name) } }
  const profile = target?.profile ?? null
  const ofProfile = profile?.[field] ?? null
  if (profile === null || ofProfile === null) return null
  const where = placeInConfig(env, ['profiles', profile.name, name])
  return { name, value: ofProfile, origin: { layer: 'profile', where } }
}

function placeInConfig(env: NodeJS.ProcessEnv, field: readonly string[]): string {
  const path = configPath(env)
  return placeOf(path, readFileSync(path, 'utf8'), field)
}

function notesOf({ env, target }: Pick<Facts, 'env' | 'target'>): string[] {
  const isSet = (variable: string): boolean => filled(env[variable]) !== null
  const keyFrom = target?.keyFrom ?? null
  const used = keyFrom !== null && 'variable' in keyFrom ? keyFrom.variable : null
  const notes: string[] = []
  if (isSet('OPENAI_BASE_URL') && !isSet('OPENAI_API_KEY'))
    notes.push(
      'OPENAI_BASE_URL is set without OPENAI_API_KEY: it is not used. DW_SERVER names a server that needs no key.',
    )
  if (isSet('OPENAI_API_KEY') && !isSet('OPENAI_BASE_URL') && used !== 'OPENAI_API_KEY')
    notes.push(`OPENAI_API_KEY is set without OPENAI_BASE_URL: it goes to ${new URL(OPENAI_URL).host} alone.`)
  if (isSet('DW_API_KEY') && target !== null && used !== 'DW_API_KEY')
    notes.push(
      'DW_API_KEY is set and not used: it is of another server, or a flag names a profile that has a key.',
    )
  return notes
}
