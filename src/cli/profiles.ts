/** Profiles: servers with their keys and defaults, in a file of the configuration folder that people may edit too. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse, type TomlTable } from 'smol-toml'
import { makePrivateFolder, writeSecret } from '../lib/secret-file.ts'
import { CliError, usageError } from './cli-error.ts'
import { badConfig, defaultsOf, tomlTrouble } from './settings.ts'
import { nearest } from './suggest.ts'
import type { NamedProfile, Profile } from './target.ts'
import { editToml } from './toml-text.ts'

export type Profiles = { active: string | null; profiles: Record<string, Profile> }

/** Guess: thousands of profiles; a file beyond is none of ours. */
const CONFIG_BYTES_MAX = 1024 * 1024
const NAME_CHARACTERS_MAX = 64

export function configPath(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'dw', 'config.toml')
}

/** @throws CliError when the file is there but cannot be read: it is never overwritten then. */
export function readProfiles(env: NodeJS.ProcessEnv): Profiles {
  const content = readContent(env)
  const tables = tableOf(content.profiles)
  const entries = Object.entries(tables).map(([name, value]) => [name, profileOf(env, name, tableOf(value))])
  const { active } = content
  return {
    active: typeof active === 'string' && Object.hasOwn(tables, active) ? active : null,
    profiles: Object.fromEntries(entries),
  }
}

export function namedProfiles({ profiles }: Profiles): NamedProfile[] {
  return Object.entries(profiles).map(([name, profile]) => ({ name, ...profile }))
}

/** @throws CliError with the nearest name */
export function requireProfile(known: Profiles, name: string): NamedProfile {
  const profile = Object.hasOwn(known.profiles, name) ? known.profiles[name] : undefined
  if (profile !== undefined) return { name, ...profile }
  const names = Object.keys(known.profiles)
  const near = nearest(name, names)
  throw new CliError('unknown_profile', `There is no profile '${name}'.`, {
    exit: 'usage',
    hint:
      near === null
        ? `Known: ${names.join(', ') || 'none; `dw login URL` makes one'}.`
        : `Did you mean '${near}'?`,
  })
}

/** @throws CliError for a name that could be taken for something else */
export function requireProfileName(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX && /^[\p{L}\p{N}][\p{L}\p{N} ._:@[\]-]*$/u.test(name)) return name
  throw usageError(
    `'${name}' cannot be the name of a profile.`,
    `It begins with a letter or a digit, and goes on with letters, digits and . _ : @ - up to ${NAME_CHARACTERS_MAX} characters.`,
  )
}

/**
 * Written whole or not at all, readable by its owner alone. Fields that this version does not know are kept, and comments too where each
 * value has a line of its own.
 * @returns areCommentsKept: false when they were lost
 */
export function writeProfiles(
  env: NodeJS.ProcessEnv,
  wanted: Profiles,
  renamed?: { from: string; to: string },
): { areCommentsKept: boolean } {
  const path = configPath(env)
  const content = readContent(env)
  const stored = tableOf(content.profiles)
  const entries = Object.entries(wanted.profiles).map(([name, profile]) => {
    const old = tableOf(stored[renamed?.to === name ? renamed.from : name])
    return [name, { ...withoutOurs(old), ...tomlOf(profile) }] as const
  })
  const { active: _active, profiles: _profiles, ...others } = content
  const next: TomlTable = {
    ...(wanted.active === null ? {} : { active: wanted.active }),
    ...others,
    ...(entries.length === 0 ? {} : { profiles: Object.fromEntries(entries) }),
  }
  const options =
    renamed === undefined
      ? {}
      : { renamed: { from: ['profiles', renamed.from], to: ['profiles', renamed.to] } }
  const { text, areCommentsKept } = editToml(
    existsSync(path) ? readFileSync(path, 'utf8') : '',
    next,
    options,
  )
  makePrivateFolder(dirname(path))
  writeSecret(path, text.trimEnd())
  return { areCommentsKept }
}

const ourFields = ['url', 'exact_url', 'key', 'completion_window', 'model', 'allow_failures']

function withoutOurs(table: TomlTable): TomlTable {
  return Object.fromEntries(Object.entries(table).filter(([name]) => !ourFields.includes(name)))
}

function tomlOf({ url, isUrlExact, key, completionWindow, model, allowFailures }: Profile): TomlTable {
  return {
    url,
    ...(isUrlExact ? { exact_url: true } : {}),
    ...(key === null ? {} : { key }),
    ...(completionWindow === null ? {} : { completion_window: completionWindow }),
    ...(model === null ? {} : { model }),
    ...(allowFailures === null ? {} : { allow_failures: allowFailures }),
  }
}

function profileOf(env: NodeJS.ProcessEnv, name: string, table: TomlTable): Profile {
  const { url, key } = table
  if (typeof url !== 'string') throw badConfig(configPath(env), `profile '${name}' has no url`)
  return {
    url,
    isUrlExact: table.exact_url === true,
    key: typeof key === 'string' && key !== '' ? key : null,
    ...defaultsOf(table, configPath(env)),
  }
}

function readContent(env: NodeJS.ProcessEnv): TomlTable {
  const path = configPath(env)
  if (!existsSync(path)) return {}
  if (statSync(path).size > CONFIG_BYTES_MAX)
    throw badConfig(path, `it has more than ${CONFIG_BYTES_MAX} bytes`)
  try {
    return parse(readFileSync(path, 'utf8'))
  } catch (thrown) {
    throw badConfig(path, tomlTrouble(thrown))
  }
}

function tableOf(value: unknown): TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
    ? // What the parser makes of a table has string keys and TOML values.
      (value as TomlTable)
    : {}
}

/** What may be shown of a key: its end, and of a short one nothing. */
export function maskedKey(key: string | null): string | null {
  if (key === null) return null
  return key.length <= SHORT_KEY_CHARACTERS ? '…' : `…${key.slice(-4)}`
}

const SHORT_KEY_CHARACTERS = 8
