/**
 * A PostgreSQL of the test's own: found on the machine, made in a temporary folder, reached over a socket in it, and removed at the
 * end. Its settings are those that a careful operator has: `fsync` is on.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import pg from 'pg'

/** Longest time until the server takes connections, also after a crash. */
const READY_MS_MAX = 30_000

export type Postgres = {
  /** A fresh schema of its database, as an address for `--database`. */
  freshUrl(): Promise<string>
  /** Address of the database itself. */
  url: string
  /** On loopback, for a proxy in between. */
  port: number
  /** Runs SQL with the rights of the cluster's owner. */
  query(sql: string): Promise<Record<string, unknown>[]>
  /** `fast`: ends sessions and writes everything down; `kill`: SIGQUIT, as a crash, to be recovered from the log. */
  stop(how: 'fast' | 'kill'): Promise<void>
  start(): Promise<void>
  /** Stops it and removes the folder. */
  remove(): Promise<void>
}

/** Why there is no PostgreSQL for tests, or false: the value of a test's `skip`. @throws when it is demanded and absent */
export function skipWithoutPostgres(): string | false {
  if (binFolder() !== null) return false
  const reason = 'no PostgreSQL on this machine (initdb, postgres): install it to run this'
  if (process.env.CI !== undefined && process.env.DW_REQUIRE_POSTGRES !== undefined) throw new Error(reason)
  return reason
}

/** @param settings lines of postgresql.conf, for example `{ fsync: 'off' }` */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<Postgres> {
  const bin = binFolder()
  if (bin === null) throw new Error('no PostgreSQL: skip the test by `skipWithoutPostgres`')
  const folder = mkdtempSync(join(tmpdir(), 'dw-pg-'))
  const owner = ownerOfCluster()
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const initdb = ['-D', data, '-U', 'dw', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
  await promisify(execFile)(join(bin, 'initdb'), initdb, { ...owner, cwd: folder })
  const port = await freePort()
  const given = Object.entries({
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    max_connections: '40',
    shared_buffers: '16MB',
    ...settings,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  let child: ChildProcess | null = null
  const start = async (): Promise<void> => {
    child = spawn(join(bin, 'postgres'), ['-D', data, ...given], {
      ...owner,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await untilReady(child)
  }
  const stop = async (how: 'fast' | 'kill'): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await ended
  }
  const onExit = (): void => {
    child?.kill('SIGQUIT')
  }
  process.once('exit', onExit)
  await start()
  const url = `postgres:///postgres?host=${encodeURIComponent(folder)}&port=${port}&user=dw`
  let schemas = 0
  const query = (sql: string): Promise<Record<string, unknown>[]> => queryOnce(url, sql)
  return {
    url,
    port,
    query,
    async freshUrl() {
      schemas += 1
      await query(`create schema dw_${schemas}`)
      return `${url}&options=-csearch_path%3Ddw_${schemas}`
    },
    start,
    stop,
    async remove() {
      process.off('exit', onExit)
      await stop('kill')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function binFolder(): string | null {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...globSync('/usr/lib/postgresql/*/bin').toSorted().toReversed(),
    ...globSync('/usr/local/opt/postgresql*/bin'),
    ...globSync('/opt/homebrew/opt/postgresql*/bin'),
  ]
  return (
    folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name)))) ?? null
  )
}

/** PostgreSQL refuses to run as root; then it runs as the user of its package, or as nobody. */
function ownerOfCluster(): { uid: number; gid: number } | { uid?: undefined; gid?: undefined } {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  const found = ['postgres', 'nobody'].map((name) => users.find((line) => line.startsWith(`${name}:`)))
  const [, , uid, gid] = found.find((line) => line !== undefined)?.split(':') ?? []
  return { uid: Number(uid), gid: Number(gid) }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const log: string[] = []
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(new Error(`PostgreSQL ${why}\n${log.join('\n')}`))
    }
    const timer = setTimeout(() => fail('was not ready in time'), READY_MS_MAX)
    child.once('exit', () => fail('ended before it was ready'))
    child.once('error', (error) => fail(error.message))
    if (child.stderr === null) return fail('has no log')
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (log.length < 100) log.push(line)
      if (!line.includes('ready to accept connections')) return
      clearTimeout(timer)
      resolve()
    })
  })
}

async function queryOnce(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
