/** The command line's own small files: profiles in the configuration folder, found servers and the last upload in the state folder. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse, stringify } from 'smol-toml'
import { messageOf } from '../lib/errors.ts'
import { CliError } from './cli-error.ts'
import type { Profile } from './target.ts'

export type Profiles = { active: string | null; profiles: Record<string, Profile> }

/** What a running server tells about itself. */
export type FoundServer = { url: string; pid: number; dataDir: string; startedAt: number; version: string }

export type LastUpload = { id: string; name: string; uploadedAt: number }

export function configPath(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'dw', 'config.toml')
}

export function stateFolder(env: NodeJS.ProcessEnv): string {
  return env.DW_STATE_DIR ?? join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'dw')
}

/** @throws CliError when the file is there but cannot be read: it is never overwritten then. */
export function readProfiles(env: NodeJS.ProcessEnv): Profiles {
  const path = configPath(env)
  if (!existsSync(path)) return { active: null, profiles: {} }
  try {
    const parsed = parse(readFileSync(path, 'utf8'))
    const profiles: Record<string, Profile> = {}
    for (const [name, value] of Object.entries(parsed.profiles ?? {})) {
      const entry = value as { url?: unknown; key?: unknown }
      if (typeof entry.url !== 'string') throw new Error(`profile '${name}' has no url`)
      profiles[name] = { url: entry.url, key: typeof entry.key === 'string' ? entry.key : null }
    }
    return { active: typeof parsed.active === 'string' ? parsed.active : null, profiles }
  } catch (thrown) {
    throw new CliError('bad_config', `${path} cannot be read: ${messageOf(thrown)}`, {
      exit: 'usage',
      hint: 'Mend or remove the file; it was not changed.',
    })
  }
}

export function writeProfiles(env: NodeJS.ProcessEnv, profiles: Profiles): void {
  const entries = Object.entries(profiles.profiles).map(([name, { url, key }]) => [
    name,
    key === null ? { url } : { url, key },
  ])
  const content = {
    ...(profiles.active === null ? {} : { active: profiles.active }),
    profiles: Object.fromEntries(entries),
  }
  writePrivate(configPath(env), stringify(content))
}

/** Servers of this machine that say they run, the newest first. */
export function foundServers(env: NodeJS.ProcessEnv): FoundServer[] {
  const folder = join(stateFolder(env), 'servers')
  if (!existsSync(folder)) return []
  const found = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => readFound(join(folder, name)))
  return found.filter(({ pid }) => isAlive(pid)).toSorted((a, b) => b.startedAt - a.startedAt)
}

export function lastUpload(env: NodeJS.ProcessEnv, server: string): LastUpload | null {
  return readUploads(env)[server] ?? null
}

export function noteUpload(env: NodeJS.ProcessEnv, server: string, upload: LastUpload): void {
  writePrivate(uploadsPath(env), JSON.stringify({ ...readUploads(env), [server]: upload }))
}

function uploadsPath(env: NodeJS.ProcessEnv): string {
  return join(stateFolder(env), 'last-uploads.json')
}

function readUploads(env: NodeJS.ProcessEnv): Record<string, LastUpload> {
  try {
    return JSON.parse(readFileSync(uploadsPath(env), 'utf8'))
  } catch {
    // Only a convenience: without it the id has to be given.
    return {}
  }
}

function readFound(path: string): FoundServer[] {
  try {
    const server = JSON.parse(readFileSync(path, 'utf8'))
    return typeof server.url === 'string' && typeof server.pid === 'number' ? [server] : []
  } catch {
    // Written by a server that is just starting or stopping.
    return []
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // No such process, or not ours: either way not a server of this user.
    return false
  }
}

function writePrivate(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const next = `${path}.${process.pid}.next`
  writeFileSync(next, text, { mode: 0o600 })
  chmodSync(next, 0o600)
  renameSync(next, path)
}
