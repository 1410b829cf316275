/** What the command line remembers by itself, in the state folder: found servers and the last upload. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { writeSecret } from '../lib/secret-file.ts'

/** What a running server tells about itself. */
export type FoundServer = { url: string; pid: number; dataDir: string; startedAt: number; version: string }

export type LastUpload = { id: string; name: string; uploadedAt: number }

export function stateFolder(env: NodeJS.ProcessEnv): string {
  return env.DW_STATE_DIR ?? join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'dw')
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
  writeSecret(uploadsPath(env), JSON.stringify({ ...readUploads(env), [server]: upload }))
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
